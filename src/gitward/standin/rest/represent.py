"""JSON of accounts, repositories and pull requests, with GitHub's field names (REST API version 2022-11-28)."""

from __future__ import annotations

from datetime import datetime

from gitward.standin.accounts import Account
from gitward.standin.repositories import PullRequest, Repository, Role
from gitward.standin.rest.call import Json
from gitward.standin.site import Links, node_id

_ACCOUNT_PREFIX = {"User": "U", "Organization": "O", "Bot": "BOT"}


def timestamp(moment: datetime | None) -> str | None:
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def account_node_id(account: Account) -> str:
    return node_id(_ACCOUNT_PREFIX[account.type], account.id)


def account(links: Links, who: Account) -> Json:
    """A "simple user"."""
    url = links.api("users", who.login)
    page = links.html("apps", who.login.removesuffix("[bot]")) if who.type == "Bot" else links.html(who.login)
    return {
        "login": who.login,
        "id": who.id,
        "node_id": account_node_id(who),
        "avatar_url": f"https://avatars.githubusercontent.com/u/{who.id}?v=4",
        "gravatar_id": "",
        "url": url,
        "html_url": page,
        "followers_url": f"{url}/followers",
        "following_url": f"{url}/following{{/other_user}}",
        "gists_url": f"{url}/gists{{/gist_id}}",
        "starred_url": f"{url}/starred{{/owner}}{{/repo}}",
        "subscriptions_url": f"{url}/subscriptions",
        "organizations_url": f"{url}/orgs",
        "repos_url": f"{url}/repos",
        "events_url": f"{url}/events{{/privacy}}",
        "received_events_url": f"{url}/received_events",
        "type": who.type,
        "user_view_type": "public",
        "site_admin": False,
    }


def profile(links: Links, who: Account) -> Json:
    """A "public user"; `email` is null because addresses are private here (GET /user/emails tells them)."""
    return {
        **account(links, who),
        "name": who.name,
        "company": None,
        "blog": "",
        "location": None,
        "email": None,
        "hireable": None,
        "bio": None,
        "twitter_username": None,
        "public_repos": 0,
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        "created_at": timestamp(who.created_at),
        "updated_at": timestamp(who.created_at),
    }


def permissions(role: Role) -> Json:
    names = ("admin", "maintain", "push", "triage", "pull")
    return {name: role >= Role[name.upper()] for name in names}


def repository_node_id(repository: Repository) -> str:
    return node_id("R", repository.id)


def repository(links: Links, repo: Repository, role: Role | None) -> Json:
    """A "minimal repository" with the fields of a full one that clients read; `role` is the USER's."""
    owner, name = repo.owner.login, repo.name
    url, page = links.api("repos", owner, name), links.html(owner, name)
    rights = {} if role is None else {"permissions": permissions(role)}
    return {
        "id": repo.id,
        "node_id": repository_node_id(repo),
        "name": name,
        "full_name": repo.full_name,
        "private": repo.private,
        "owner": account(links, repo.owner),
        "html_url": page,
        "description": None,
        "fork": False,
        "url": url,
        "branches_url": f"{url}/branches{{/branch}}",
        "git_refs_url": f"{url}/git/refs{{/sha}}",
        "pulls_url": f"{url}/pulls{{/number}}",
        "issues_url": f"{url}/issues{{/number}}",
        "git_url": f"git://{links.host}/{owner}/{name}.git",
        "ssh_url": f"git@{links.host}:{owner}/{name}.git",
        "clone_url": f"{page}.git",
        "homepage": None,
        "size": 0,
        "language": None,
        "has_issues": True,
        "has_projects": True,
        "has_wiki": False,
        "has_pages": False,
        "archived": repo.archived,
        "disabled": False,
        "open_issues_count": sum(pull.state == "open" for pull in repo.pulls),
        "allow_forking": True,
        "is_template": False,
        "topics": [],
        "visibility": "private" if repo.private else "public",
        "default_branch": repo.default_branch,
        **rights,
        "created_at": timestamp(repo.created_at),
        "updated_at": timestamp(repo.pushed_at),
        "pushed_at": timestamp(repo.pushed_at),
    }


def label(links: Links, repo: Repository, name: str) -> Json:
    number = repo.labels[name]
    return {
        "id": number,
        "node_id": node_id("LA", repo.id, number),
        "url": links.api("repos", repo.owner.login, repo.name, "labels", name),
        "name": name,
        "color": "ededed",
        "default": False,
        "description": None,
    }


def pull(links: Links, repo: Repository, request: PullRequest) -> Json:
    """A pull request. It is never merged."""
    owner, name = repo.owner.login, repo.name
    url = links.api("repos", owner, name, "pulls", request.number)
    issue = links.api("repos", owner, name, "issues", request.number)
    return {
        "url": url,
        "id": request.id,
        "node_id": pull_node_id(repo, request),
        "html_url": request.html_url,
        "diff_url": f"{request.html_url}.diff",
        "patch_url": f"{request.html_url}.patch",
        "issue_url": issue,
        "number": request.number,
        "state": request.state,
        "locked": False,
        "title": request.title,
        "user": account(links, request.author),
        "body": request.body,
        "created_at": timestamp(request.created_at),
        "updated_at": timestamp(request.updated_at),
        "closed_at": timestamp(request.closed_at),
        "merged_at": None,
        "merge_commit_sha": None,
        "assignee": None,
        "assignees": [],
        "requested_reviewers": [account(links, reviewer) for reviewer in request.reviewers],
        "requested_teams": [],
        "labels": [label(links, repo, name) for name in request.labels],
        "milestone": None,
        "draft": request.draft,
        "commits_url": f"{url}/commits",
        "review_comments_url": f"{url}/comments",
        "comments_url": f"{issue}/comments",
        "statuses_url": links.api("repos", owner, name, "statuses", request.head_sha),
        "head": _end(links, repo, request.head, request.head_sha),
        "base": _end(links, repo, request.base, request.base_sha),
        "author_association": "OWNER" if request.author == repo.owner else "COLLABORATOR",
        "auto_merge": None,
        "active_lock_reason": None,
        "merged": False,
        "mergeable": True,
        "mergeable_state": "draft" if request.draft else "clean",
        "maintainer_can_modify": False,
    }


def pull_node_id(repo: Repository, request: PullRequest) -> str:
    return node_id("PR", repo.id, request.id)


def _end(links: Links, repo: Repository, branch: str, sha: str) -> Json:
    return {
        "label": f"{repo.owner.login}:{branch}",
        "ref": branch,
        "sha": sha,
        "user": account(links, repo.owner),
        "repo": repository(links, repo, None),
    }
