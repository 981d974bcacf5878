"""JSON of accounts, repositories and pull requests, with GitHub's field names (REST API version 2022-11-28)."""

from __future__ import annotations

from gitward_standin.accounts import Account, Role, Team
from gitward_standin.clock import timestamp
from gitward_standin.model import Discussion, Label, Milestone, PullRequest, Repository
from gitward_standin.node_ids import encode
from gitward_standin.rest.call import Json
from gitward_standin.site import Links


def account(links: Links, who: Account) -> Json:
    """A "simple user"."""
    url = links.api("users", who.login)
    page = links.html("apps", who.login.removesuffix("[bot]")) if who.type == "Bot" else links.html(who.login)
    return {
        "login": who.login,
        "id": who.id,
        "node_id": encode(who.type, who.id),
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
    """A "public user"; `email` is null unless the user made it public (GET /user/emails tells the others)."""
    return {
        **account(links, who),
        "name": who.name,
        "company": None,
        "blog": "",
        "location": None,
        "email": who.email if who.email_public else None,
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


def repository(links: Links, repo: Repository, role: Role | None) -> Json:
    """A "minimal repository" with the fields of a full one that clients read; `role` is the USER's."""
    owner, name = repo.owner.login, repo.name
    url, page = links.api("repos", owner, name), links.html(owner, name)
    rights = {} if role is None else {"permissions": permissions(role)}
    return {
        "id": repo.id,
        "node_id": encode("Repository", repo.id),
        "name": name,
        "full_name": repo.full_name,
        "private": repo.private,
        "owner": account(links, repo.owner),
        "html_url": page,
        "description": repo.description,
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
        "size": repo.size_kib,
        "language": None,
        "has_issues": repo.issues_enabled,
        "has_projects": True,
        "has_wiki": False,
        "has_pages": False,
        "archived": repo.archived,
        "disabled": False,
        "open_issues_count": sum(each.state == "open" for each in (*repo.pulls, *repo.issues)),
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


def label(links: Links, shown: Label) -> Json:
    repo = shown.repository
    return {
        "id": shown.id,
        "node_id": encode("Label", repo.id, shown.id),
        "url": links.api("repos", repo.owner.login, repo.name, "labels", shown.name),
        "name": shown.name,
        "color": shown.color,
        "default": False,
        "description": shown.description,
    }


def milestone(links: Links, shown: Milestone | None) -> Json | None:
    if shown is None:
        return None
    repo = shown.repository
    return {
        "url": links.api("repos", repo.owner.login, repo.name, "milestones", shown.number),
        "html_url": links.html(repo.owner.login, repo.name, "milestone", shown.number),
        "id": shown.id,
        "node_id": encode("Milestone", repo.id, shown.id),
        "number": shown.number,
        "title": shown.title,
        "description": shown.description,
        "state": shown.state,
        "due_on": timestamp(shown.due_on),
    }


def discussion(links: Links, shown: Discussion) -> Json:
    """The fields that an issue and a pull request have in common."""
    repo = shown.repository
    assignees = [account(links, assignee) for assignee in shown.assignees]
    return {
        "id": shown.id,
        "html_url": shown.html_url,
        "number": shown.number,
        "state": shown.state,
        "locked": False,
        "active_lock_reason": None,
        "title": shown.title,
        "user": account(links, shown.author),
        "body": shown.body,
        "created_at": timestamp(shown.created_at),
        "updated_at": timestamp(shown.updated_at),
        "closed_at": timestamp(shown.closed_at),
        "assignee": assignees[0] if assignees else None,
        "assignees": assignees,
        "labels": [label(links, repo.labels[name]) for name in shown.labels],
        "milestone": milestone(links, shown.milestone),
        "author_association": association(repo, shown.author),
    }


def association(repo: Repository, author: Account) -> str:
    """What the author is to the repository."""
    if author == repo.owner:
        return "OWNER"
    role = repo.role(author)
    return "COLLABORATOR" if role is not None and role >= Role.PUSH else "NONE"


def team(links: Links, shown: Team) -> Json:
    organization = shown.organization.login
    return {
        "id": shown.id,
        "node_id": encode("Team", shown.organization.id, shown.id),
        "name": shown.name,
        "slug": shown.slug,
        "html_url": links.html("orgs", organization, "teams", shown.slug),
        "url": links.api("organizations", shown.organization.id, "team", shown.id),
    }


def pull(links: Links, request: PullRequest) -> Json:
    repo = request.repository
    owner, name = repo.owner.login, repo.name
    url = links.api("repos", owner, name, "pulls", request.number)
    issue = links.api("repos", owner, name, "issues", request.number)
    auto = request.auto_merge
    return {
        **discussion(links, request),
        "url": url,
        "node_id": encode("PullRequest", repo.id, request.id),
        "diff_url": f"{request.html_url}.diff",
        "patch_url": f"{request.html_url}.patch",
        "issue_url": issue,
        "merged_at": timestamp(request.merged_at),
        "merged_by": account(links, request.merged_by) if request.merged_by else None,
        "merge_commit_sha": request.merge_sha,
        "requested_reviewers": [account(links, reviewer) for reviewer in request.reviewers],
        "requested_teams": [team(links, asked) for asked in request.teams],
        "draft": request.draft,
        "commits_url": f"{url}/commits",
        "review_comments_url": f"{url}/comments",
        "comments_url": f"{issue}/comments",
        "statuses_url": links.api("repos", owner, name, "statuses", request.head_sha),
        "head": _end(links, repo, request.head, request.head_sha),
        "base": _end(links, repo, request.base, request.base_sha),
        "auto_merge": {"merge_method": auto.method, "enabled_by": account(links, auto.by)} if auto else None,
        "merged": request.merged_at is not None,
        "mergeable": request.merged_at is None,
        "mergeable_state": "draft" if request.draft else "clean",
        "maintainer_can_modify": False,
        "comments": len(request.comments),
    }


def _end(links: Links, repo: Repository, branch: str, sha: str) -> Json:
    return {
        "label": f"{repo.owner.login}:{branch}",
        "ref": branch,
        "sha": sha,
        "user": account(links, repo.owner),
        "repo": repository(links, repo, None),
    }
