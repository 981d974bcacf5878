"""The routes between us and the issuer: there, and back with a code."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import RedirectResponse, Response

from gitward.errors import Unavailable
from gitward.identity.code_flow import CodeFlow, Refused
from gitward.identity.sign_ins import new_secret
from gitward.web.signing_in import attempts, cookies, paths
from gitward.web.signing_in.dependencies import signing_in_of
from gitward.web.signing_in.pages import link, text
from gitward.web.signing_in.person import NotSignedIn
from gitward.web.signing_in.signing_in import SigningIn

router = APIRouter(include_in_schema=False)
Served = Annotated[SigningIn, Depends(signing_in_of)]
MAX_CODE = 4096  # characters; some issuers' codes are sealed documents
_ERROR = re.compile(r"[a-z_]{1,40}")
_NO_STORE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
_UNKNOWN = (
    "This sign-in was not begun in this browser, or longer than half an hour ago. Begin it again, and allow this "
    "server's cookies."
)


@router.get(paths.START)
async def start(request: Request, served: Served, next: Annotated[str, Query(max_length=2000)] = "") -> Response:
    """To the issuer. A browser keeps one secret for all its tabs."""
    if served.flow is None:
        return RedirectResponse(paths.SIGN_IN, status_code=303)
    secure = served.hosts.is_secure(request)
    secret = cookies.read(request, cookies.ATTEMPT, secure=secure) or new_secret()
    attempt = attempts.begin(secret, paths.safe(next))
    try:
        where = await served.flow.question(attempt, _callback(request, served))
    except (Refused, Unavailable) as error:
        return _failed(served, error)
    response = RedirectResponse(where, status_code=303, headers=_NO_STORE)
    cookies.write(response, cookies.ATTEMPT, secret, secure=secure, seconds=cookies.ATTEMPT_SECONDS)
    return response


@router.get(paths.CALLBACK)
async def callback(request: Request, served: Served) -> Response:
    """Back from the issuer. Each parameter may come once (RFC 6749, section 3.1)."""
    told = {name: request.query_params.getlist(name) for name in ("state", "code", "error", "iss")}
    if served.flow is None or any(len(values) > 1 for values in told.values()):
        return served.page("Not signed in", text("The issuer's answer cannot be understood."), _again(), status=400)
    state, code, error, iss = (values[0] if values else None for values in told.values())
    secure = served.hosts.is_secure(request)
    secret = cookies.read(request, cookies.ATTEMPT, secure=secure)
    resumed = attempts.resume(secret, state) if secret is not None and state is not None else None
    if resumed is None:
        return await _not_begun_here(request, served)
    attempt, wanted = resumed
    try:
        await served.flow.check_issuer(iss)
        if error is not None or not code or len(code) > MAX_CODE:
            raise Refused(f"The issuer did not sign you in ({_shown(error)}).")
        grant = await served.flow.grant(attempt, code, _callback(request, served))
    except (Refused, Unavailable) as failure:
        await served.refusals.note(str(failure))
        return _failed(served, failure)
    cookie = await served.begin(grant, instead_of=served.secret_of(request))
    response = RedirectResponse(wanted, status_code=303, headers=_NO_STORE)
    seconds = round(served.lifetime.total_seconds())
    cookies.write(response, cookies.SESSION, cookie, secure=secure, seconds=seconds)
    return response


async def leave(request: Request, served: SigningIn, flow: CodeFlow, secret: str | None) -> str | None:
    """Ends the sign-in here; the issuer's address at which it ends there."""
    tokens = await served.end(secret) if secret is not None else None
    return await flow.way_out(tokens, served.hosts.base_url(request) + paths.SIGNED_OUT)


async def _not_begun_here(request: Request, served: SigningIn) -> Response:
    """Somebody who went back in the history is signed in already: that is no trouble of theirs."""
    try:
        await served.person(request)
    except (NotSignedIn, Unavailable):
        await served.refusals.note("an answer of the issuer to a question that this browser did not ask")
        return served.page("Not signed in", text(_UNKNOWN), _again(), status=400)
    return RedirectResponse(paths.HOME, status_code=303, headers=_NO_STORE)


def _failed(served: SigningIn, error: Refused | Unavailable) -> Response:
    if isinstance(error, Unavailable):
        headers = {"Retry-After": str(error.retry_after)}
        return served.page("Not signed in", text(error.detail), _again(), status=503, headers=headers)
    return served.page("Not signed in", text(str(error)), _again(), status=403)


def _again() -> str:
    return link(paths.SIGN_IN, "Sign in again")


def _shown(error: str | None) -> str:
    """The issuer's code for it. Its description is not shown: whoever makes the link can write it."""
    return error if error is not None and _ERROR.fullmatch(error) else "without a reason"


def _callback(request: Request, served: SigningIn) -> str:
    return served.hosts.base_url(request) + paths.CALLBACK
