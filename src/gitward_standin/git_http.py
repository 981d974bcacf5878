"""git's smart HTTP protocol behind GitHub's authentication, with GitHub's own words.

Sources: GitHub's documentation ("Personal access tokens", "SAML single sign-on") and what git prints after
`remote:` in public bug reports.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from aiohttp import web

from gitward_standin import bodies
from gitward_standin.access import may_write, visible
from gitward_standin.accounts import Identity
from gitward_standin.backend import Backend
from gitward_standin.credentials import UNKNOWN, Unknown
from gitward_standin.model import Repository
from gitward_standin.push_rules import push_environment
from gitward_standin.site import Site

_ROUTE = re.compile(r"/([^/]+)/([^/]+?)(?:\.git)?/(info/refs|git-upload-pack|git-receive-pack)")
UPLOAD, RECEIVE = "git-upload-pack", "git-receive-pack"


@dataclass
class GitRefusal(Exception):
    """An answer that git shows to its user after `remote:`."""

    status: int
    text: str
    headers: dict[str, str] = field(default_factory=dict)

    def response(self) -> web.Response:
        return web.Response(status=self.status, text=f"{self.text}\n", headers=self.headers)


def _unauthorized(text: str) -> GitRefusal:
    return GitRefusal(401, text, {"WWW-Authenticate": 'Basic realm="GitHub"'})


@dataclass(frozen=True, kw_only=True)
class GitCall:
    """A request of the protocol, as its URL tells it."""

    owner: str
    name: str
    action: str  # info/refs, git-upload-pack or git-receive-pack
    service: str  # git-upload-pack (fetch) or git-receive-pack (push)


def parse(request: web.BaseRequest) -> GitCall | None:
    """The git call that a request makes; None when it is none, and so no page of the git host."""
    match = _ROUTE.fullmatch(unquote(request.rel_url.raw_path))
    if match is None:
        return None
    owner, name, action = match.groups()
    if action == "info/refs":
        service = request.rel_url.query.get("service", "")
        if request.method not in ("GET", "HEAD") or service not in (UPLOAD, RECEIVE):
            return None  # the dumb protocol
        return GitCall(owner=owner, name=name, action=action, service=service)
    if request.method != "POST":
        return None
    return GitCall(owner=owner, name=name, action=action, service=action)


def authorize(site: Site, call: GitCall, identity: Identity | Unknown | None) -> Repository:
    """The repository that the call may use. Raises GitRefusal."""
    if identity is UNKNOWN:
        raise _unauthorized("Invalid username or token. Password authentication is not supported for Git operations.")
    repository = site.follow_repository(f"{call.owner}/{call.name}")
    if repository is None or not visible(repository, identity):
        if identity is None:
            raise _unauthorized("Repository not found.")
        raise GitRefusal(404, "Repository not found.")
    if identity is not None and identity.token.sso_required:
        raise GitRefusal(403, _SSO.format(repository.owner.login))
    if identity is not None and not identity.token.may("contents", "read"):
        raise GitRefusal(403, _WITHOUT_CONTENTS)
    if call.service == RECEIVE:
        _authorize_push(repository, identity)
    return repository


def _authorize_push(repository: Repository, identity: Identity | None) -> None:
    if identity is None:
        raise _unauthorized("No anonymous write access.")
    if not may_write(repository, identity) or not identity.token.may("contents", "write"):
        raise GitRefusal(403, f"Permission to {repository.full_name}.git denied to {identity.login}.")
    if repository.archived:
        raise GitRefusal(403, "This repository was archived so it is read-only.")


async def serve(
    site: Site,
    backend: Backend,
    request: web.BaseRequest,
    call: GitCall,
    identity: Identity | Unknown | None,
    *,
    silent: bool = False,
) -> web.StreamResponse:
    """Answers one request of the protocol (`silent`: carries it out without an answer). Raises GitRefusal."""
    repository = authorize(site, call, identity)
    if repository.full_name.lower() != f"{call.owner}/{call.name}".lower():
        return _moved(request, call, repository)
    sender = identity if isinstance(identity, Identity) else None
    await bodies.invite(request)

    async def settle() -> None:
        if call.action == RECEIVE:
            await repository.follow_pushes()

    return await backend.serve(
        request,
        path=f"/{repository.path.relative_to(site.repositories_root)}/{call.action}",
        user=sender.login if sender else None,
        extra=push_environment(repository, sender, site.links) if call.service == RECEIVE else {},
        settle=settle,
        silent=silent,
    )


def _moved(request: web.BaseRequest, call: GitCall, repository: Repository) -> web.Response:
    """git follows this when it asks for refs, and uses the new address from then on; a POST it does not follow."""
    query = f"?{request.rel_url.raw_query_string}" if request.rel_url.raw_query_string else ""
    address = f"{request.scheme}://{request.host}/{repository.full_name}.git/{call.action}{query}"
    return web.Response(status=301, headers={"Location": address})


_WITHOUT_CONTENTS = "Write access to repository not granted."
_SSO = (
    "The '{}' organization has enabled or enforced SAML SSO. To access this repository, you must use the HTTPS "
    "remote with a personal access token or SSH with an SSH key and passphrase that has been authorized for this "
    "organization. Visit https://docs.github.com/articles/authenticating-to-a-github-organization-with-saml-"
    "single-sign-on/ for more information."
)
