"""/repos/{owner}/{repo}/pulls: pull requests, what they change, and whose review they want."""

from __future__ import annotations

from gitward_standin import changes, history, merging
from gitward_standin.clock import timestamp
from gitward_standin.model import ChangedFile, PullRequest, Repository, Review
from gitward_standin.node_ids import encode
from gitward_standin.rest import represent
from gitward_standin.rest.body import flag, items, text
from gitward_standin.rest.call import Answer, Call, Json, not_found
from gitward_standin.rest.commits import represented
from gitward_standin.rest.pages import matching, page


async def index(call: Call) -> Answer:
    """Filters: state (open, closed, all), head (owner:branch; anything else is ignored), base."""
    repository = call.repository()
    await repository.follow_pushes()
    state, head = call.query.get("state", ""), call.query.get("head", "")
    found = [pull for pull in repository.pulls if state == "all" or pull.state == (state or "open")]
    if ":" in head:
        owner, _, branch = head.partition(":")
        same_owner = owner.lower() == repository.owner.login.lower()
        found = [pull for pull in found if same_owner and pull.head == branch]
    found = matching(call, found, base=lambda pull: pull.base)
    if call.query.get("direction") != "asc":
        found.reverse()
    return page(call, [represent.pull(call.site.links, pull) for pull in found])


async def get(call: Call) -> Answer:
    """The pull request; its diff or its patch when Accept asks for that."""
    repository = call.repository()
    await repository.follow_pushes()
    pull = find(call, repository)
    for form, read in (("diff", history.diff), ("patch", history.patch)):
        if f".{form}" in call.accept:
            content_type = f"application/vnd.github.v3.{form}; charset=utf-8"
            changed = await read(repository, pull.base_sha, pull.head_sha)
            return Answer(text=changed, headers={"Content-Type": content_type})
    return _shown(call, pull)


async def create(call: Call) -> Answer:
    repository = call.writable_repository()
    body = call.body()
    pull = await changes.open_pull(
        call.site,
        repository,
        call.sender().account,
        title=text(body, "title") or "",
        head=text(body, "head") or "",
        base=text(body, "base") or "",
        body=text(body, "body", required=False),
        draft=flag(body, "draft"),
    )
    shown = represent.pull(call.site.links, pull)
    return Answer(status=201, payload=shown, headers={"Location": shown["url"]})


async def update(call: Call) -> Answer:
    """Changes title, body, state, base. `draft` cannot be changed here, as on GitHub."""
    repository = call.writable_repository()
    pull = find(call, repository)
    body = call.body()
    names = ("title", "body", "base", "state")
    title, content, base, state = (text(body, name, required=False) for name in names)
    await changes.edit_pull(pull, title=title, body=content, base=base, state=state)
    if "body" in body:
        pull.body = content
    return _shown(call, pull)


async def files(call: Call) -> Answer:
    repository = call.repository()
    pull = find(call, repository)
    changed = await history.changed_files(repository, pull.base_sha, pull.head_sha)
    return page(call, [_file(call, pull, file) for file in changed])


async def commits(call: Call) -> Answer:
    repository = call.repository()
    pull = find(call, repository)
    found = await history.commits(repository, f"{pull.base_sha}..{pull.head_sha}")
    return page(call, [represented(call, commit) for commit in reversed(found)])


async def reviews(call: Call) -> Answer:
    pull = find(call, call.repository())
    return page(call, [_review(call, review) for review in pull.reviews])


async def review_comments(call: Call) -> Answer:
    """Comments on lines: the stand-in keeps none."""
    find(call, call.repository())
    return page(call, [])


async def merge(call: Call) -> Answer:
    repository = call.writable_repository()
    pull = find(call, repository)
    sha = await merging.merge(pull, by=call.sender().account)
    return Answer(payload={"sha": sha, "merged": True, "message": "Pull Request successfully merged"})


async def request_reviewers(call: Call) -> Answer:
    repository = call.writable_repository()
    pull = find(call, repository)
    body = call.body()
    logins = [str(login) for login in items(body.get("reviewers", []), "reviewers")]
    slugs = [str(slug) for slug in items(body.get("team_reviewers", []), "team_reviewers")]
    teams = {team.slug: team for team in call.site.accounts.teams(repository.owner)}
    changes.request_reviews(
        pull, [call.site.accounts.find(login) for login in logins], [teams.get(slug) for slug in slugs]
    )
    return Answer(status=201, payload=represent.pull(call.site.links, pull))


def find(call: Call, repository: Repository) -> PullRequest:
    """The pull request of the path. Raises 404."""
    pull = repository.pull(call.number())
    if pull is None:
        raise not_found()
    return pull


def _shown(call: Call, pull: PullRequest) -> Answer:
    return Answer(payload=represent.pull(call.site.links, pull))


def _file(call: Call, pull: PullRequest, file: ChangedFile) -> Json:
    links, repo = call.site.links, pull.repository
    return {
        "sha": file.sha,
        "filename": file.path,
        "status": file.status,
        "additions": file.additions,
        "deletions": file.deletions,
        "changes": file.additions + file.deletions,
        "blob_url": links.html(repo.owner.login, repo.name, "blob", pull.head_sha, file.path),
        "raw_url": links.html(repo.owner.login, repo.name, "raw", pull.head_sha, file.path),
        "contents_url": f"{links.api('repos', repo.owner.login, repo.name, 'contents', file.path)}?ref={pull.head_sha}",
        "patch": file.patch,
    }


def _review(call: Call, review: Review) -> Json:
    return {
        "id": review.id,
        "node_id": encode("PullRequestReview", review.repository.id, review.id),
        "user": represent.account(call.site.links, review.author),
        "body": review.body,
        "state": review.state.upper(),
        "html_url": review.html_url,
        "pull_request_url": represent.pull(call.site.links, review.on)["url"],
        "author_association": represent.association(review.repository, review.author),
        "submitted_at": timestamp(review.submitted_at),
        "commit_id": review.commit,
    }
