"""The table of REST calls: method, path, handler, the page of GitHub's documentation, accepted scopes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import unquote

from gitward.standin.rest import pulls, repositories, users
from gitward.standin.rest.call import DOCS, Answer, Call

Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, kw_only=True)
class Route:
    """`{x}` in a path stands for one part, `{x...}` for one or more parts."""

    method: str
    path: str
    handler: Handler
    docs: str = ""
    accepted_scopes: str = ""  # the header X-Accepted-OAuth-Scopes
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        pattern = re.sub(r"\{(\w+)\.\.\.\}", r"(?P<\1>.+)", self.path)
        object.__setattr__(self, "pattern", re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)))

    @property
    def docs_url(self) -> str:
        return f"{DOCS}/{self.docs}" if self.docs else DOCS


def _route(method: str, path: str, handler: Handler, docs: str = "", accepted_scopes: str = "") -> Route:
    return Route(method=method, path=path, handler=handler, docs=docs, accepted_scopes=accepted_scopes)


_REPO = "/repos/{owner}/{repo}"

ROUTES = (
    _route("GET", "/", users.root, "meta/meta#github-api-root"),
    _route("GET", "/meta", users.meta, "meta/meta#get-apiname-meta-information"),
    _route("GET", "/zen", users.zen, "meta/meta#get-the-zen-of-github"),
    _route("GET", "/rate_limit", users.rate_limit, "rate-limit/rate-limit"),
    _route("GET", "/user", users.user, "users/users#get-the-authenticated-user"),
    _route("GET", "/user/emails", users.emails, "users/emails", "user, user:email"),
    _route("GET", "/users/{login}", users.other_user, "users/users#get-a-user"),
    _route("GET", _REPO, repositories.get, "repos/repos#get-a-repository", "repo"),
    _route("GET", f"{_REPO}/branches", repositories.branches, "branches/branches#list-branches"),
    _route("GET", f"{_REPO}/branches/{{branch...}}", repositories.branch, "branches/branches#get-a-branch"),
    _route("GET", f"{_REPO}/git/ref/{{ref...}}", repositories.ref, "git/refs#get-a-reference"),
    _route("GET", f"{_REPO}/pulls", pulls.index, "pulls/pulls#list-pull-requests"),
    _route("POST", f"{_REPO}/pulls", pulls.create, "pulls/pulls#create-a-pull-request"),
    _route("GET", f"{_REPO}/pulls/{{number}}", pulls.get, "pulls/pulls#get-a-pull-request"),
    _route("PATCH", f"{_REPO}/pulls/{{number}}", pulls.update, "pulls/pulls#update-a-pull-request"),
    _route(
        "POST",
        f"{_REPO}/issues/{{number}}/labels",
        pulls.add_labels,
        "issues/labels#add-labels-to-an-issue",
    ),
    _route(
        "POST",
        f"{_REPO}/pulls/{{number}}/requested_reviewers",
        pulls.request_reviewers,
        "pulls/review-requests#request-reviewers-for-a-pull-request",
    ),
)


def find(method: str, raw_path: str) -> tuple[Route, dict[str, str]] | None:
    """The route of a path as it was sent, with its variable parts decoded; None: unknown to this API."""
    method = "GET" if method == "HEAD" else method
    for route in ROUTES:
        match = route.pattern.fullmatch(raw_path) if route.method == method else None
        if match:
            return route, {name: unquote(value) for name, value in match.groupdict().items()}
    return None
