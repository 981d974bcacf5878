"""The routes of sign-in and sign-out."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import RedirectResponse, Response

from gitward.errors import HTTP_STATUS, RequestError, Unavailable
from gitward.identity.sign_ins import is_secret
from gitward.web.signing_in import cookies, paths
from gitward.web.signing_in.dependencies import CheckedForm, signing_in_of
from gitward.web.signing_in.forms import check_origin, read_form
from gitward.web.signing_in.issuer_routes import leave
from gitward.web.signing_in.pages import button, link, text
from gitward.web.signing_in.person import NotSignedIn
from gitward.web.signing_in.signing_in import SigningIn

router = APIRouter(include_in_schema=False)
Served = Annotated[SigningIn, Depends(signing_in_of)]
Text = Annotated[str, Query(max_length=2000)]

_USED = "This link has been used, or is older than 10 minutes. Run `gitward sign-in` on the machine for another one."
_HOW = "Run `gitward sign-in` on the machine where Gitward runs, and open the link that it prints."
_NO_CLIENT = (
    "This server takes the tokens of its issuers, but browsers cannot sign in: its operator has not set "
    "GITWARD_OIDC_CLIENT_ID."
)


@router.get(paths.SIGN_IN)
async def sign_in_page(
    request: Request,
    served: Served,
    wanted: Annotated[str, Query(alias="next", max_length=2000)] = "",
    secret: Annotated[str, Query(alias="link", max_length=2000)] = "",
) -> Response:
    """Changes nothing: previews of links and prefetching browsers come here too. It never leads on to the issuer by
    itself, so that nobody goes round in circles."""
    if secret and served.is_local:
        return served.page("Sign in", button(paths.SIGN_IN, "Sign in to Gitward", link=secret, next=paths.safe(wanted)))
    try:
        await served.person(request)
    except (NotSignedIn, Unavailable):
        return served.page("Sign in", _way_in(request, served, paths.safe(wanted)))
    return RedirectResponse(paths.safe(wanted), status_code=303, headers={"Cache-Control": "no-store"})


def _way_in(request: Request, served: SigningIn, wanted: str) -> str:
    """At the public address, whatever name the browser has us by: there the issuer sends it back to."""
    if served.flow is None:
        return text(_HOW if served.is_local else _NO_CLIENT)
    issuer = urlsplit(served.flow.issuer.url).hostname or ""
    return link(served.hosts.base_url(request) + paths.sign_in(wanted, paths.START), f"Sign in with {issuer}")


@router.post(paths.SIGN_IN)
async def sign_in(request: Request, served: Served) -> Response:
    try:
        check_origin(request, served.hosts)
        form = await read_form(request)
    except RequestError as error:
        await served.refusals.note(error.detail)
        return served.page("Not signed in", text(error.detail), status=HTTP_STATUS[error.code])
    secret = None
    if is_secret(form.get("link", "")):
        secret = await served.take_link(form["link"], instead_of=served.secret_of(request))
    if secret is None:
        await served.refusals.note("the link is used, too old, or none of ours")
        return served.page("Not signed in", text(_USED), status=403)
    response = RedirectResponse(paths.safe(form.get("next")), status_code=303, headers={"Cache-Control": "no-store"})
    seconds = round(served.lifetime.total_seconds())
    cookies.write(response, cookies.SESSION, secret, secure=served.hosts.is_secure(request), seconds=seconds)
    return response


@router.post(paths.SIGN_OUT)
async def sign_out(request: Request, served: Served, _: CheckedForm) -> Response:
    """Here, and then at the issuer: by a page that leads there, since a form's redirect to another host is stopped by
    `form-action`."""
    secret, where = served.secret_of(request), None
    if served.flow is not None:
        where = await leave(request, served, served.flow, secret)
    elif secret is not None:
        await served.end(secret)
    if where is None:
        response = _signed_out(served)
    else:
        onward = link(where, "Sign out at the issuer too")
        response = served.page("Signed out", onward, headers={"Refresh": f"0; url={where}"})
    for kind in (cookies.SESSION, cookies.ATTEMPT):
        cookies.remove(response, kind, secure=served.hosts.is_secure(request))
    return response


@router.get(paths.SIGNED_OUT)
async def signed_out(served: Served) -> Response:
    return _signed_out(served)


def _signed_out(served: SigningIn) -> Response:
    return served.page("Signed out", link(paths.SIGN_IN, "Sign in again"))
