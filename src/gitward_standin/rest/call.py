"""One REST request, its answer, and its refusals, in GitHub's shapes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gitward_standin.access import may_discuss, may_write, visible
from gitward_standin.accounts import Identity, TokenKind
from gitward_standin.apps import App, AppRefused
from gitward_standin.changes import Problem, Unprocessable
from gitward_standin.model import Repository
from gitward_standin.site import Site

DOCS = "https://docs.github.com/rest"
SAML_DOCS = "https://docs.github.com/articles/authenticating-to-a-github-organization-with-saml-single-sign-on/"

Json = dict[str, Any]


@dataclass
class ApiError(Exception):
    """An answer that is not a success: {"message", "errors"?, "documentation_url", "status"}."""

    status: int
    message: str
    errors: Sequence[Json] = ()
    documentation_url: str | None = None  # None: the page of the call
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self, docs: str) -> Json:
        errors = {"errors": list(self.errors)} if self.errors else {}
        url = self.documentation_url or docs
        return {"message": self.message, **errors, "documentation_url": url, "status": str(self.status)}


def not_found() -> ApiError:
    return ApiError(404, "Not Found")


def invalid(*errors: Json) -> ApiError:
    """422 Validation Failed. One error: {"resource", "field"?, "code", "message"?}."""
    return ApiError(422, "Validation Failed", errors)


def unprocessable(error: Unprocessable) -> ApiError:
    """422, with the problems when there are any."""
    return invalid(*map(_problem, error.problems)) if error.problems else ApiError(422, error.message)


def _problem(problem: Problem) -> Json:
    optional = {"field": problem.field, "message": problem.message}
    return {"resource": problem.resource, "code": problem.code, **{k: v for k, v in optional.items() if v is not None}}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A success."""

    status: int = 200
    payload: Any = None  # JSON
    text: str | None = None  # instead of JSON
    empty: bool = False  # no body at all
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request that matched a route."""

    site: Site
    identity: Identity | None
    params: Mapping[str, str]  # the variable parts of the path, decoded
    query: Mapping[str, str]
    url: str  # as the client sees it, without the query
    accept: str  # the header Accept: some calls answer with a diff or raw text
    content: bytes
    proof: str | None = None  # what may be an App's JWT

    def app(self) -> App:
        """The App that asks. Raises 401 for everybody else, or 404 when there is no such App."""
        try:
            return self.site.apps.authenticate(self.proof or "")
        except AppRefused as refused:
            raise ApiError(refused.status, refused.message) from None

    def sender(self) -> Identity:
        """Who asks. Raises 401 when nobody does."""
        if self.identity is None:
            raise ApiError(401, "Requires authentication")
        return self.identity

    def repository(self) -> Repository:
        """The repository of the path, which the sender may read. Raises 404, or 403 for SSO."""
        repository = self.site.find_repository(f"{self.params['owner']}/{self.params['repo']}")
        if repository is None or not visible(repository, self.identity):
            raise not_found()
        if self.identity is not None and self.identity.token.sso_required:
            raise sso_required(self.site, repository)
        return repository

    def writable_repository(self) -> Repository:
        """The repository of the path, which the sender may write. Raises what GitHub answers otherwise."""
        sender = self.sender()
        repository = self.repository()
        return _open_for(sender, repository, allowed=may_write(repository, sender))

    def discussable_repository(self) -> Repository:
        """The repository of the path, where the sender may open issues and comment. Raises as above."""
        sender = self.sender()
        repository = self.repository()
        return _open_for(sender, repository, allowed=may_discuss(repository, sender))

    def number(self, name: str = "number") -> int:
        """A number of the path. Raises 404 for anything else."""
        text = self.params[name]
        if not (text.isascii() and text.isdigit() and len(text) < 16):
            raise not_found()
        return int(text)

    def body(self) -> Json:
        """The JSON object that was sent; an empty body is an empty object. Raises 400."""
        if not self.content:
            return {}
        try:
            value = json.loads(self.content)
        except (ValueError, RecursionError) as error:
            raise ApiError(400, "Problems parsing JSON") from error
        if not isinstance(value, dict):
            raise ApiError(400, "Body should be a JSON object")
        return value


def _open_for(sender: Identity, repository: Repository, *, allowed: bool) -> Repository:
    if not allowed:
        raise cannot_write(sender)
    if repository.archived:
        raise ApiError(403, "Repository was archived so is read-only.")
    return repository


def cannot_write(sender: Identity) -> ApiError:
    """How GitHub refuses a write: it depends on the kind of token."""
    if not sender.token.push or sender.token.kind is not TokenKind.CLASSIC:
        return inaccessible(sender)
    return not_found()


def inaccessible(sender: Identity) -> ApiError:
    if sender.token.kind is TokenKind.APP:
        return ApiError(403, "Resource not accessible by integration")
    return ApiError(403, "Resource not accessible by personal access token")


def sso_required(site: Site, repository: Repository) -> ApiError:
    organization = repository.owner.login
    url = f"{site.links.html('orgs', organization, 'sso')}?authorization_request=A1B2C3"
    return ApiError(
        403,
        "Resource protected by organization SAML enforcement. You must grant your Personal Access token access "
        "to this organization.",
        documentation_url=SAML_DOCS,
        headers={"X-GitHub-SSO": f"required; url={url}"},
    )
