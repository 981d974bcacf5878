"""The routes of sign-in and sign-out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import RedirectResponse, Response

from gitward.errors import HTTP_STATUS, RequestError
from gitward.identity.sign_ins import is_secret
from gitward.web.signing_in import cookies, paths
from gitward.web.signing_in.dependencies import CheckedForm, signing_in_of
from gitward.web.signing_in.forms import check_origin, read_form
from gitward.web.signing_in.pages import button, link, page, text
from gitward.web.signing_in.person import NotSignedIn
from gitward.web.signing_in.signing_in import SigningIn

router = APIRouter(include_in_schema=False)
Served = Annotated[SigningIn, Depends(signing_in_of)]
Text = Annotated[str, Query(max_length=2000)]

_USED = "This link has been used, or is older than 10 minutes. Run `gitward sign-in` on the machine for another one."
_HOW = "Run `gitward sign-in` on the machine where Gitward runs, and open the link that it prints."


@router.get(paths.SIGN_IN)
async def sign_in_page(request: Request, served: Served, next: Text = "", link: Text = "") -> Response:
    """Changes nothing: previews of links and prefetching browsers come here too."""
    if link:
        return page("Sign in", button(paths.SIGN_IN, "Sign in to Gitward", link=link, next=paths.safe(next)))
    try:
        await served.person(request)
    except NotSignedIn:
        return page("Sign in", text(_HOW))
    return RedirectResponse(paths.safe(next), status_code=303)


@router.post(paths.SIGN_IN)
async def sign_in(request: Request, served: Served) -> Response:
    try:
        check_origin(request, served.hosts)
        form = await read_form(request)
    except RequestError as error:
        return page("Not signed in", text(error.detail), status=HTTP_STATUS[error.code])
    secret = None
    if is_secret(form.get("link", "")):
        secret = await served.take_link(form["link"], instead_of=served.secret_of(request))
    if secret is None:
        return page("Not signed in", text(_USED), status=403)
    response = RedirectResponse(paths.safe(form.get("next")), status_code=303, headers={"Cache-Control": "no-store"})
    seconds = round(served.lifetime.total_seconds())
    cookies.write(response, cookies.SESSION, secret, secure=served.hosts.is_secure(request), seconds=seconds)
    return response


@router.post(paths.SIGN_OUT)
async def sign_out(request: Request, served: Served, _: CheckedForm) -> Response:
    secret = served.secret_of(request)
    if secret is not None:
        await served.end(secret)
    response = page("Signed out", link(paths.SIGN_IN, "Sign in again"), headers={"Clear-Site-Data": '"cache"'})
    cookies.remove(response, cookies.SESSION, secure=served.hosts.is_secure(request))
    return response
