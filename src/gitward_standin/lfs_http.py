"""The LFS calls of a repository: batch and locks, behind the same authentication as git."""

from __future__ import annotations

import json
import re
from urllib.parse import unquote

from aiohttp import web

from gitward_standin import bodies
from gitward_standin.accounts import Identity
from gitward_standin.credentials import Unknown
from gitward_standin.git_http import RECEIVE, UPLOAD, GitCall, GitRefusal, authorize
from gitward_standin.lfs import Lfs, LfsRefusal, reply
from gitward_standin.site import Site

_ROUTE = re.compile(r"/([^/]+)/([^/]+?)(?:\.git)?/info/lfs/(objects/batch|locks/verify|locks)")
_METHODS = {"objects/batch": "POST", "locks/verify": "POST", "locks": "GET"}
BASIC = 'Basic realm="GitHub"'


def parse(request: web.BaseRequest) -> tuple[str, str, str] | None:
    """Owner, name and call of an LFS request; None when it is none."""
    match = _ROUTE.fullmatch(unquote(request.rel_url.raw_path))
    return (match[1], match[2], match[3]) if match and _METHODS[match[3]] == request.method else None


async def serve(
    site: Site,
    lfs: Lfs,
    request: web.BaseRequest,
    call: tuple[str, str, str],
    identity: Identity | Unknown | None,
) -> web.Response:
    """Answers one call; refusals are answers too."""
    owner, name, what = call
    content = await bodies.read(request)
    service = RECEIVE if what == "locks/verify" or _is_upload(content) else UPLOAD
    try:
        repository = authorize(site, GitCall(owner=owner, name=name, action=what, service=service), identity)
        if what == "objects/batch":
            return reply(lfs.batch(repository, content))
    except GitRefusal as refusal:
        response = LfsRefusal(refusal.status, refusal.text).response()
        if refusal.status == 401:
            response.headers.update({"WWW-Authenticate": BASIC, "LFS-Authenticate": BASIC})
        return response
    except LfsRefusal as refusal:
        return refusal.response()
    return reply({"ours": [], "theirs": []} if what == "locks/verify" else {"locks": []})


def _is_upload(content: bytes) -> bool:
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(body, dict) and body.get("operation") == "upload"
