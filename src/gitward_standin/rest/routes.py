"""The table of REST calls: method, path, handler, the page of GitHub's documentation, accepted scopes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import unquote

from gitward_standin.rest import (
    accounts,
    actions,
    apps,
    checks,
    commits,
    issues,
    pulls,
    refs,
    releases,
    repositories,
    trees,
    users,
)
from gitward_standin.rest.call import DOCS, Answer, Call

Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, kw_only=True)
class Route:
    """`{x}` in a path stands for one part, `{x...}` for one or more parts."""

    method: str
    path: str
    handler: Handler
    docs: str = ""
    accepted_scopes: str = ""  # the header X-Accepted-OAuth-Scopes
    for_apps: bool = False  # asked with an App's JWT and nothing else
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        pattern = re.sub(r"\{(\w+)\.\.\.\}", r"(?P<\1>.+)", self.path)
        object.__setattr__(self, "pattern", re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)))

    @property
    def docs_url(self) -> str:
        return f"{DOCS}/{self.docs}" if self.docs else DOCS


def _route(method: str, path: str, handler: Handler, docs: str = "", accepted_scopes: str = "") -> Route:
    return Route(method=method, path=path, handler=handler, docs=docs, accepted_scopes=accepted_scopes)


def _app_route(method: str, path: str, handler: Handler) -> Route:
    return Route(method=method, path=path, handler=handler, docs="apps/apps", for_apps=True)


_REPO = "/repos/{owner}/{repo}"
_ISSUE, _PULL = f"{_REPO}/issues/{{number}}", f"{_REPO}/pulls/{{number}}"
_COMMIT, _RUN = f"{_REPO}/commits/{{ref}}", f"{_REPO}/actions/runs/{{run}}"
_WORKFLOW = f"{_REPO}/actions/workflows"
_COMMENT = f"{_REPO}/issues/comments/{{comment}}"

ROUTES = (
    _route("GET", "/", users.root, "meta/meta#github-api-root"),
    _route("GET", "/meta", users.meta, "meta/meta#get-apiname-meta-information"),
    _route("GET", "/zen", users.zen, "meta/meta#get-the-zen-of-github"),
    _route("GET", "/rate_limit", users.rate_limit, "rate-limit/rate-limit"),
    _route("GET", "/user", users.user, "users/users#get-the-authenticated-user"),
    _route("GET", "/user/emails", users.emails, "users/emails", "user, user:email"),
    _route("GET", "/user/repos", accounts.own_repositories, "repos/repos"),
    _route("GET", "/user/orgs", accounts.own_organizations, "orgs/orgs", "admin:org, read:org, repo, user, write:org"),
    _app_route("GET", "/app", apps.app),
    _app_route("GET", "/app/installations", apps.installations),
    _app_route("GET", "/app/installations/{installation}", apps.installation),
    _app_route("POST", "/app/installations/{installation}/access_tokens", apps.access_tokens),
    _app_route("GET", f"{_REPO}/installation", apps.of_repository),
    _route(
        "POST", "/app-manifests/{code}/conversions", apps.from_manifest, "apps/apps#create-a-github-app-from-a-manifest"
    ),
    _route("GET", "/users/{login}", users.other_user, "users/users#get-a-user"),
    _route("GET", "/users/{login}/repos", accounts.repositories, "repos/repos"),
    _route("GET", "/orgs/{login}", accounts.organization, "orgs/orgs#get-an-organization"),
    _route("GET", "/orgs/{login}/repos", accounts.repositories, "repos/repos"),
    _route("GET", "/search/issues", accounts.search_issues, "search/search"),
    _route("GET", "/search/repositories", accounts.search_repositories, "search/search"),
    _route("GET", _REPO, repositories.get, "repos/repos#get-a-repository", "repo"),
    _route(
        "GET",
        f"{_REPO}/collaborators/{{login}}/permission",
        repositories.collaborator_permission,
        "collaborators/collaborators#get-repository-permissions-for-a-user",
    ),
    _route("GET", f"{_REPO}/branches", repositories.branches, "branches/branches#list-branches"),
    _route("GET", f"{_REPO}/branches/{{branch...}}", repositories.branch, "branches/branches#get-a-branch"),
    _route("GET", f"{_REPO}/readme", commits.readme, "repos/contents#get-a-repository-readme"),
    _route("GET", f"{_REPO}/contents", commits.contents, "repos/contents"),
    _route("GET", f"{_REPO}/contents/{{path...}}", commits.contents, "repos/contents"),
    _route("GET", f"{_REPO}/compare/{{basehead...}}", commits.compare, "commits/commits#compare-two-commits"),
    _route("GET", f"{_REPO}/rules/branches/{{branch...}}", repositories.rules, "repos/rules#get-rules-for-a-branch"),
    _route("GET", f"{_REPO}/git/matching-refs/{{ref...}}", refs.matching, "git/refs#list-matching-references"),
    _route("GET", f"{_REPO}/git/ref/{{ref...}}", refs.get, "git/refs#get-a-reference"),
    _route("POST", f"{_REPO}/git/refs", refs.create, "git/refs#create-a-reference"),
    _route("PATCH", f"{_REPO}/git/refs/{{ref...}}", refs.update, "git/refs#update-a-reference"),
    _route("DELETE", f"{_REPO}/git/refs/{{ref...}}", refs.delete, "git/refs#delete-a-reference"),
    _route("GET", f"{_REPO}/git/trees/{{sha...}}", trees.get, "git/trees#get-a-tree"),
    _route("GET", f"{_REPO}/commits", commits.index, "commits/commits#list-commits"),
    _route("GET", f"{_COMMIT}/check-runs", checks.check_runs, "checks/runs"),
    _route("GET", f"{_COMMIT}/status", checks.status, "commits/statuses"),
    _route("GET", f"{_COMMIT}/statuses", checks.statuses, "commits/statuses"),
    _route("GET", f"{_REPO}/commits/{{ref...}}", commits.get, "commits/commits#get-a-commit"),
    _route("GET", f"{_REPO}/check-runs/{{check}}", checks.check_run, "checks/runs#get-a-check-run"),
    _route("GET", f"{_REPO}/check-runs/{{check}}/annotations", checks.annotations_of, "checks/runs"),
    _route("GET", f"{_REPO}/pulls", pulls.index, "pulls/pulls#list-pull-requests"),
    _route("POST", f"{_REPO}/pulls", pulls.create, "pulls/pulls#create-a-pull-request"),
    _route("GET", _PULL, pulls.get, "pulls/pulls#get-a-pull-request"),
    _route("PATCH", _PULL, pulls.update, "pulls/pulls#update-a-pull-request"),
    _route("GET", f"{_PULL}/files", pulls.files, "pulls/pulls#list-pull-requests-files"),
    _route("GET", f"{_PULL}/commits", pulls.commits, "pulls/pulls#list-commits-on-a-pull-request"),
    _route("GET", f"{_PULL}/reviews", pulls.reviews, "pulls/reviews"),
    _route("GET", f"{_PULL}/comments", pulls.review_comments, "pulls/comments"),
    _route("PUT", f"{_PULL}/merge", pulls.merge, "pulls/pulls#merge-a-pull-request"),
    _route(
        "POST",
        f"{_PULL}/requested_reviewers",
        pulls.request_reviewers,
        "pulls/review-requests#request-reviewers-for-a-pull-request",
    ),
    _route("GET", f"{_REPO}/labels", issues.labels, "issues/labels"),
    _route("GET", f"{_REPO}/issues", issues.index, "issues/issues#list-repository-issues"),
    _route("POST", f"{_REPO}/issues", issues.create, "issues/issues#create-an-issue"),
    _route("GET", _COMMENT, issues.get_comment, "issues/comments#get-an-issue-comment"),
    _route("DELETE", _COMMENT, issues.delete_comment, "issues/comments#delete-an-issue-comment"),
    _route("GET", _ISSUE, issues.get, "issues/issues#get-an-issue"),
    _route("PATCH", _ISSUE, issues.update, "issues/issues#update-an-issue"),
    _route("GET", f"{_ISSUE}/comments", issues.comments, "issues/comments#list-issue-comments"),
    _route("POST", f"{_ISSUE}/comments", issues.comment, "issues/comments#create-an-issue-comment"),
    _route("GET", f"{_ISSUE}/labels", issues.labels_of, "issues/labels#list-labels-for-an-issue"),
    _route("POST", f"{_ISSUE}/labels", issues.add_labels, "issues/labels#add-labels-to-an-issue"),
    _route("GET", _WORKFLOW, actions.workflows, "actions/workflows"),
    _route("GET", f"{_WORKFLOW}/{{workflow}}", actions.workflow, "actions/workflows"),
    _route("GET", f"{_WORKFLOW}/{{workflow}}/runs", actions.runs_of_workflow, "actions/workflow-runs"),
    _route("GET", f"{_REPO}/actions/runs", actions.runs, "actions/workflow-runs"),
    _route("GET", _RUN, actions.run, "actions/workflow-runs#get-a-workflow-run"),
    _route("GET", f"{_RUN}/attempts/{{attempt}}", actions.attempt, "actions/workflow-runs"),
    _route("GET", f"{_RUN}/attempts/{{attempt}}/jobs", actions.jobs, "actions/workflow-jobs"),
    _route("GET", f"{_RUN}/attempts/{{attempt}}/logs", actions.run_logs, "actions/workflow-runs"),
    _route("GET", f"{_RUN}/jobs", actions.jobs, "actions/workflow-jobs"),
    _route("GET", f"{_RUN}/artifacts", actions.artifacts, "actions/artifacts"),
    _route("GET", f"{_RUN}/logs", actions.run_logs, "actions/workflow-runs#download-workflow-run-logs"),
    _route("GET", f"{_REPO}/actions/jobs/{{job}}", actions.job, "actions/workflow-jobs"),
    _route("GET", f"{_REPO}/actions/jobs/{{job}}/logs", actions.job_logs, "actions/workflow-jobs"),
    _route("GET", f"{_REPO}/releases", releases.index, "releases/releases"),
    _route("GET", f"{_REPO}/releases/latest", releases.newest, "releases/releases#get-the-latest-release"),
    _route("GET", f"{_REPO}/releases/tags/{{tag...}}", releases.by_tag, "releases/releases"),
    _route("GET", f"{_REPO}/releases/{{number}}", releases.get, "releases/releases#get-a-release"),
)


def find(method: str, raw_path: str) -> tuple[Route, dict[str, str]] | None:
    """The route of a path as it was sent, with its variable parts decoded; None: unknown to this API."""
    method = "GET" if method == "HEAD" else method
    for route in ROUTES:
        match = route.pattern.fullmatch(raw_path) if route.method == method else None
        if match:
            return route, {name: unquote(value) for name, value in match.groupdict().items()}
    return None
