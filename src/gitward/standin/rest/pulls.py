"""/repos/{owner}/{repo}/pulls, and the two issue calls that decorate a pull request."""

from __future__ import annotations

from typing import Any

from gitward.standin.repositories import PullRequest, Repository, Role, now
from gitward.standin.rest import represent
from gitward.standin.rest.call import Answer, ApiError, Call, Json, invalid, not_found
from gitward.standin.rest.pages import page

LONGEST_BODY = 65_536  # characters
LONGEST_TITLE = 256


async def index(call: Call) -> Answer:
    """Filters: state (open, closed, all), head (owner:branch; anything else is ignored), base."""
    repository = call.repository()
    await repository.follow_pushes()
    state, head, base = (call.query.get(name, "") for name in ("state", "head", "base"))
    found = [pull for pull in repository.pulls if state == "all" or pull.state == (state or "open")]
    if ":" in head:
        owner, _, branch = head.partition(":")
        same_owner = owner.lower() == repository.owner.login.lower()
        found = [pull for pull in found if same_owner and pull.head == branch]
    if base:
        found = [pull for pull in found if pull.base == base]
    if call.query.get("direction") != "asc":
        found.reverse()
    return page(call, [represent.pull(call.site.links, repository, pull) for pull in found])


async def get(call: Call) -> Answer:
    repository = call.repository()
    await repository.follow_pushes()
    return _shown(call, repository, _find(call, repository))


async def create(call: Call) -> Answer:
    repository = call.writable_repository()
    body = call.body()
    title, head, base = (_text(body, name) for name in ("title", "head", "base"))
    text, draft = _text(body, "body", required=False), _flag(body, "draft")
    head = _own_branch(repository, head or "")
    head_sha, base_sha = await repository.head(head), await repository.head(base or "")
    problems = [_field(name, "invalid") for name, sha in (("head", head_sha), ("base", base_sha)) if sha is None]
    if problems or head_sha is None or base_sha is None or base is None or title is None:
        raise invalid(*problems)
    _check_text(title, text)
    _check_new(repository, head, base)
    if await repository.commits_between(base_sha, head_sha) == 0:
        raise invalid(_custom(f"No commits between {base} and {head}"))
    if draft and not repository.drafts:
        raise ApiError(422, "Draft pull requests are not supported in this repository.")
    pull = PullRequest(
        id=call.site.new_id(),
        number=0,  # open_pull gives the number
        title=title,
        body=text,
        author=call.sender().account,
        head=head,
        base=base,
        head_sha=head_sha,
        base_sha=base_sha,
        draft=draft,
    )
    _check_new(repository, head, base)  # again: another request may have come first while git was asked
    await call.site.open_pull(repository, pull)
    shown = represent.pull(call.site.links, repository, pull)
    return Answer(status=201, payload=shown, headers={"Location": shown["url"]})


async def update(call: Call) -> Answer:
    """Changes title, body, state, base. `draft` cannot be changed here, as on GitHub."""
    repository = call.writable_repository()
    pull = _find(call, repository)
    body = call.body()
    title, base, state = (_text(body, name, required=False) for name in ("title", "base", "state"))
    text = _text(body, "body", required=False) if "body" in body else pull.body
    _check_text(title if title is not None else pull.title, text)
    if state not in (None, "open", "closed"):
        raise invalid(_field("state", "invalid"))
    base_sha = await repository.head(base) if base is not None else pull.base_sha
    if base_sha is None:
        raise invalid(_field("base", "invalid"))
    pull.title, pull.body, pull.base, pull.base_sha = title or pull.title, text, base or pull.base, base_sha
    if state is not None and state != pull.state:
        if state == "open" and await repository.head(pull.head) is None:
            raise invalid(_custom("state cannot be changed. The branch was deleted.", field="state"))
        pull.state, pull.closed_at = state, now() if state == "closed" else None
    pull.updated_at = now()
    return _shown(call, repository, pull)


async def add_labels(call: Call) -> Answer:
    """Labels that do not exist yet are made, as on GitHub."""
    repository = call.writable_repository()
    pull = _find(call, repository)
    labels = call.body().get("labels")
    names = [entry.get("name") if isinstance(entry, dict) else entry for entry in _list(labels, "labels")]
    if not all(isinstance(name, str) and 0 < len(name) <= 50 for name in names):
        raise invalid({"resource": "Label", "code": "invalid", "field": "name"})
    for name in map(str, names):
        known = next((other for other in repository.labels if other.lower() == name.lower()), None)
        repository.labels.setdefault(known or name, call.site.new_id())
        if (known or name) not in pull.labels:
            pull.labels.append(known or name)
    shown = [represent.label(call.site.links, repository, name) for name in pull.labels]
    return Answer(payload=shown)


async def request_reviewers(call: Call) -> Answer:
    repository = call.writable_repository()
    pull = _find(call, repository)
    for login in _list(call.body().get("reviewers", []), "reviewers"):
        account = call.site.accounts.find(str(login))
        if account == pull.author:
            raise ApiError(422, "Review cannot be requested from pull request author.")
        role = repository.role(account) if account else None
        if account is None or role is None or (role < Role.PUSH and not repository.private):
            raise ApiError(
                422,
                "Reviews may only be requested from collaborators. One or more of the users or teams you "
                f"specified is not a collaborator of the {repository.full_name} repository.",
            )
        if account not in pull.reviewers:
            pull.reviewers.append(account)
    return Answer(status=201, payload=represent.pull(call.site.links, repository, pull))


def _shown(call: Call, repository: Repository, pull: PullRequest) -> Answer:
    return Answer(payload=represent.pull(call.site.links, repository, pull))


def _find(call: Call, repository: Repository) -> PullRequest:
    number = call.params["number"]
    pull = repository.pull(int(number)) if number.isascii() and number.isdigit() and len(number) < 10 else None
    if pull is None:
        raise not_found()
    return pull


def _own_branch(repository: Repository, head: str) -> str:
    """The branch of `owner:branch` or `branch`; another owner has no fork here, so the head is invalid."""
    owner, colon, branch = head.partition(":")
    if colon and owner.lower() != repository.owner.login.lower():
        raise invalid(_field("head", "invalid"))
    return branch if colon else head


def _check_new(repository: Repository, head: str, base: str) -> None:
    same = (pull for pull in repository.pulls if (pull.state, pull.head, pull.base) == ("open", head, base))
    if next(same, None):
        raise invalid(_custom(f"A pull request already exists for {repository.owner.login}:{head}."))


def _check_text(title: str, body: str | None) -> None:
    if not title.strip():
        raise invalid({"resource": "Issue", "code": "missing_field", "field": "title"})
    for name, text, longest in (("title", title, LONGEST_TITLE), ("body", body or "", LONGEST_BODY)):
        if len(text) > longest:
            message = f"{name} is too long (maximum is {longest} characters)"
            raise invalid({"resource": "Issue", "code": "custom", "field": name, "message": message})


def _text(body: Json, name: str, *, required: bool = True) -> str | None:
    """A string of the request; null is the same as nothing."""
    value = body.get(name)
    if value is None and required:
        raise ApiError(422, f'Invalid request.\n\n"{name}" wasn\'t supplied.')
    if value is not None and not isinstance(value, str):
        raise ApiError(422, f"Invalid request.\n\nFor 'properties/{name}', {value!r} is not a string.")
    return value


def _flag(body: Json, name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise ApiError(422, f"Invalid request.\n\nFor 'properties/{name}', {value!r} is not a boolean.")
    return value


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise ApiError(422, f"Invalid request.\n\nFor 'properties/{name}', {value!r} is not an array.")
    return value


def _field(name: str, code: str) -> Json:
    return {"resource": "PullRequest", "field": name, "code": code}


def _custom(message: str, **more: str) -> Json:
    return {"resource": "PullRequest", "code": "custom", **more, "message": message}
