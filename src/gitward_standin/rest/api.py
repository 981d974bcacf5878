"""The REST API as a whole: authentication, routing, and the headers that every answer has."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from urllib.parse import unquote, urlencode

from aiohttp import web

from gitward_standin.access import visible
from gitward_standin.accounts import Identity, TokenKind
from gitward_standin.changes import Unprocessable
from gitward_standin.credentials import Unknown
from gitward_standin.permissions import permits
from gitward_standin.rest import routes
from gitward_standin.rest.call import DOCS, Answer, ApiError, Call, inaccessible, not_found, unprocessable
from gitward_standin.rest.users import RATE_LIMIT
from gitward_standin.site import Site

JSON = "application/json; charset=utf-8"
_BY_OWNER = re.compile(r"/repos/([^/]+/[^/]+)(|/.*)")
_REDIRECTS = f"{DOCS}/guides/best-practices-for-using-the-rest-api#follow-redirects"
_BY_NUMBER = re.compile(r"/repositories/(\d{1,15})(|/.*)")
_NO_USER_AGENT = (
    "\r\nRequest forbidden by administrative rules. Please make sure your request has a User-Agent header "
    "(https://docs.github.com/en/rest/overview/resources-in-the-rest-api#user-agent-required). Check "
    "https://developer.github.com for other possible causes.\r\n"
)


@dataclass(frozen=True, kw_only=True)
class ApiRequest:
    """A request of the API, wherever it is mounted."""

    method: str
    path: str  # below the API's root, as sent
    query: dict[str, str]
    url: str  # as the client sees it, without the query
    content: bytes
    accept: str
    identity: Identity | Unknown | None
    has_user_agent: bool
    proof: str | None = None  # a Bearer that is no token of ours: an App's JWT


async def answer(site: Site, request: ApiRequest) -> web.Response:
    """GitHub's answer, without the headers of `common_headers`."""
    if not request.has_user_agent:
        return web.Response(status=403, text=_NO_USER_AGENT)
    found = routes.find(request.method, _by_name(site, request.path))
    route, params = found if found else (None, {})
    docs = route.docs_url if route else DOCS
    try:
        for_apps = route is not None and route.for_apps
        if isinstance(request.identity, Unknown) and not for_apps:
            raise ApiError(401, "Bad credentials", documentation_url=DOCS)
        if route is None:
            raise not_found()
        sender = request.identity if isinstance(request.identity, Identity) else None
        if sender is not None and not permits(sender.token, request.method, _by_name(site, request.path)):
            raise inaccessible(sender)
        if address := _new_address(site, request, sender):
            return _moved(request, address)
        call = Call(
            site=site,
            identity=sender,
            proof=request.proof,
            params=params,
            query=request.query,
            url=request.url,
            accept=request.accept,
            content=request.content,
        )
        response = await _carry_out(route.handler, call)
    except ApiError as error:
        response = json_response(error.status, error.body(docs), error.headers)
    if request.identity and route and _has_scopes(request.identity):
        response.headers["X-Accepted-OAuth-Scopes"] = route.accepted_scopes
    return response


def _by_name(site: Site, path: str) -> str:
    """GitHub also knows each repository by its number: /repositories/1/pulls is /repos/owner/name/pulls."""
    match = _BY_NUMBER.fullmatch(path)
    repository = site.find_repository_by_id(int(match[1])) if match else None
    return f"/repos/{repository.full_name}{match[2]}" if repository and match else path


def _new_address(site: Site, request: ApiRequest, sender: Identity | None) -> str | None:
    """Where a request belongs whose repository was renamed or transferred; None: it was not."""
    match = _BY_OWNER.fullmatch(request.path)
    name = unquote(match[1]) if match else ""
    repository = site.follow_repository(name)
    if match is None or repository is None or site.find_repository(name) or not visible(repository, sender):
        return None
    query = f"?{urlencode(request.query)}" if request.query else ""
    return f"{site.links.api('repositories', repository.id)}{match[2]}{query}"


def _moved(request: ApiRequest, address: str) -> web.Response:
    """Permanently for reading; what changes something is to be sent again as it was."""
    payload = {"message": "Moved Permanently", "url": address, "documentation_url": _REDIRECTS}
    status = 301 if request.method in ("GET", "HEAD") else 307
    return json_response(status, payload, {"Location": address})


async def _carry_out(handler: routes.Handler, call: Call) -> web.Response:
    try:
        return _response(await handler(call))
    except Unprocessable as error:
        raise unprocessable(error) from error


def _response(answered: Answer) -> web.Response:
    if answered.empty:
        return web.Response(status=answered.status, headers=answered.headers)
    if answered.text is not None:
        return web.Response(status=answered.status, text=answered.text, headers=answered.headers)
    return json_response(answered.status, answered.payload, answered.headers)


def json_response(status: int, payload: object, headers: Mapping[str, str] | None = None) -> web.Response:
    """An answer in JSON, with GitHub's content type."""
    headers = {**(headers or {}), "Content-Type": JSON}
    return web.Response(status=status, body=encode(payload), headers=headers)


def encode(payload: object) -> bytes:
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def _has_scopes(identity: Identity | Unknown) -> bool:
    return isinstance(identity, Identity) and identity.token.kind is TokenKind.CLASSIC


def common_headers(identity: Identity | Unknown | None, *, used: int, body: bytes) -> dict[str, str]:
    """Headers of every answer of the API: scopes and expiry of the token, rate limit, ETag."""
    known = isinstance(identity, Identity)
    limit = RATE_LIMIT if known else 60
    headers = {
        "Server": "github.com",
        "X-GitHub-Media-Type": "github.v3; format=json",
        "X-GitHub-Api-Version-Selected": "2022-11-28",
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(max(limit - used, 0)),
        "X-RateLimit-Used": str(used),
        "X-RateLimit-Reset": str(int(time.time()) // 3600 * 3600 + 3600),
        "X-RateLimit-Resource": "core",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, max-age=60, s-maxage=60" if known else "public, max-age=60, s-maxage=60",
        "ETag": f'W/"{hashlib.sha256(body).hexdigest()}"',
    }
    if isinstance(identity, Identity):
        if identity.token.kind is TokenKind.CLASSIC:
            headers["X-OAuth-Scopes"] = ", ".join(identity.token.scopes)
        if identity.token.expires_at is not None and identity.token.kind is not TokenKind.APP:
            expiry = identity.token.expires_at.astimezone(UTC)
            headers["GitHub-Authentication-Token-Expiration"] = expiry.strftime("%Y-%m-%d %H:%M:%S UTC")
    return headers
