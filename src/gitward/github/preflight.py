"""What is asked of GitHub before a sandbox opens: does the token work, may it push, is the branch there."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from gitward.errors import Reason, RunFailure
from gitward.github.client import Answer, Connection, path_of
from gitward.github.failures import expiration
from gitward.github.names import is_branch, is_repository, same_repository
from gitward.github.ownership import Known, PullRequestState, check_ours, find_pull
from gitward.github.tokens import Identity, Token

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What preflight learned; JSON-able by `asdict`, and without any secret."""

    repository: str  # as GitHub spells it
    repository_id: int
    default_branch: str
    target_branch: str
    target_sha: str
    branch_sha: str | None  # head of the session's branch upstream, when it is there
    identity: Identity
    notices: tuple[str, ...] = ()  # what may go wrong later
    pull_request_state: PullRequestState | None = None  # of the session's pull request; None: it has none
    pull_request_head_sha: str | None = None  # where GitHub saw its branch last, also when the branch is gone
    merge_commit_sha: str | None = None  # by which commit it was merged


async def check(
    github: Connection,
    *,
    repo: str,
    target_branch: str | None,
    branch: str,
    needed_until: datetime,
    known: Known | None = None,
) -> Facts:
    """Asks, and returns what the run needs to know.

    :param known: of the session's branch; None: nothing, so that one that is upstream is somebody else's.
    :param needed_until: when the run's time limit ends: a token that expires before is refused, unless another one may
        take its place by then.
    :raises RunFailure: with the reason that applies, in the order in which a person would mend them.
    """
    bot = github.token.bot
    if bot is not None:
        repository, user = await github.get(path_of(repo)), None
    else:
        repository, user = await _together(github.get(path_of(repo)), github.get("/user"))
    notices = _check_expiry(repository, github.token, needed_until)
    about = _repository(repository, repo)
    full_name: str = about["full_name"]
    target = target_branch or about["default_branch"]
    if branch in {target, about["default_branch"]}:
        raise RunFailure(
            Reason.PUSH_REJECTED, f"{branch} is the target or the default branch; name another session branch."
        )
    known = known or Known()
    (target_answer, branch_answer), (push, pull) = await _together(
        _together(
            github.get(path_of(full_name, "branches", target)),
            github.get(path_of(full_name, "git", "ref", f"heads/{branch}")),
        ),
        _together(github.may_push(full_name), find_pull(github, full_name, known.pull_request)),
    )
    _check_push(push, full_name)
    target_sha = _target_sha(target_answer, full_name, target)
    branch_sha = _branch_sha(branch_answer, branch)
    if branch_sha is not None:
        await check_ours(github, full_name, branch, branch_sha, known=known, pull=pull)
    return Facts(
        repository=full_name,
        repository_id=int(about["id"]),
        default_branch=about["default_branch"],
        target_branch=target,
        target_sha=target_sha,
        branch_sha=branch_sha,
        identity=bot or await _identity(github, user),
        notices=(*github.token.notices, *notices),
        pull_request_state=pull.state if pull else None,
        pull_request_head_sha=pull.head_sha if pull else None,
        merge_commit_sha=pull.merge_sha if pull else None,
    )


async def _together(one: Coroutine[Any, Any, A], other: Coroutine[Any, Any, B]) -> tuple[A, B]:
    """Both at the same time. When one fails the other is ended, and its failure is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            first, second = group.create_task(one), group.create_task(other)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return first.result(), second.result()


def _repository(answer: Answer, repo: str) -> dict[str, Any]:
    if answer.status in {301, 307, 308}:
        raise RunFailure(Reason.REPOSITORY_NOT_FOUND, f"{repo} was renamed or moved; use its new name.")
    if answer.status == 403:
        raise RunFailure(
            Reason.TOKEN_LACKS_PERMISSION, f"GitHub does not let the token see {repo}: {answer.message or 'no reason'}."
        )
    if answer.status != 200 or not isinstance(answer.body, dict):
        raise RunFailure(
            Reason.REPOSITORY_NOT_FOUND,
            f"GitHub shows no repository {repo} to this token; check the name, and that the token reaches it.",
        )
    about: dict[str, Any] = answer.body
    name, default = about.get("full_name"), about.get("default_branch")
    if not (isinstance(name, str) and is_repository(name) and isinstance(default, str) and is_branch(default)):
        raise RunFailure(Reason.INTERNAL, f"GitHub described {repo} in a way that Gitward does not understand.")
    if not same_repository(name, repo):  # something between us and GitHub followed a redirect
        raise RunFailure(Reason.REPOSITORY_NOT_FOUND, f"{repo} was renamed to {name}; use its new name.")
    if about.get("archived"):
        raise RunFailure(Reason.REPOSITORY_ARCHIVED, f"{repo} is archived and read-only; unarchive it on GitHub first.")
    return about


def _check_push(push: tuple[int, str], repository: str) -> None:
    status, text = push
    if status == 200:
        return
    if "archived" in text:
        raise RunFailure(Reason.REPOSITORY_ARCHIVED, f"{repository} is archived and read-only; unarchive it first.")
    raise RunFailure(
        Reason.TOKEN_LACKS_PERMISSION,
        f"The token may not push to {repository}: give it the scope `repo` (classic), or `Contents: read and write` "
        "(fine-grained and App tokens).",
    )


def _target_sha(answer: Answer, repository: str, branch: str) -> str:
    if answer.status in {301, 307, 308}:
        raise RunFailure(Reason.BRANCH_NOT_FOUND, f"The branch {branch} of {repository} was renamed; use its new name.")
    if answer.status != 200:
        raise RunFailure(
            Reason.BRANCH_NOT_FOUND, f"{repository} has no branch {branch}; name an existing one as target_branch."
        )
    return str(answer.body["commit"]["sha"])


def _branch_sha(answer: Answer, branch: str) -> str | None:
    if answer.status != 200 or not isinstance(answer.body, dict) or answer.body.get("ref") != f"refs/heads/{branch}":
        return None
    return str(answer.body["object"]["sha"])


def _check_expiry(answer: Answer, token: Token, needed_until: datetime) -> tuple[str, ...]:
    expires = expiration(answer.headers)
    if expires is None:
        return ()
    when = f"{expires:%Y-%m-%d %H:%M} UTC"
    if expires <= datetime.now(UTC):
        raise RunFailure(Reason.TOKEN_EXPIRED, f"The token expired at {when}: {token.renew}.")
    if expires >= needed_until or token.renew_at is not None:
        return ()
    if token.renewable:
        return (f"The token expires at {when}, before the run's time limit ends; replace it by then.",)
    raise RunFailure(
        Reason.TOKEN_EXPIRED,
        f"The token expires at {when}, before the run's time limit ends: {token.renew}, "
        "or give the run a shorter timeout_seconds.",
    )


async def _identity(github: Connection, user: Answer | None) -> Identity:
    """The token's owner, with the address that the profile shows to everybody, or else a noreply address.

    App tokens act as a bot.
    """
    if user is None or user.status != 200 or not isinstance(user.body, dict):
        return Identity(login="app", name="gitward[bot]", email=f"gitward[bot]@{github.noreply_host}")
    login, number = str(user.body["login"]), user.body["id"]
    shown = user.body.get("email")
    if not shown or await _is_private(github, str(shown)):
        shown = f"{number}+{login}@{github.noreply_host}"
    name = _one_line(str(user.body.get("name") or "")) or login
    return Identity(login=login, name=name, email=_one_line(str(shown)))


async def _is_private(github: Connection, email: str) -> bool:
    """Whether the account keeps this address, or its addresses, private; a token without `user:email` cannot know."""
    answer = await github.get("/user/emails")
    if answer.status != 200 or not isinstance(answer.body, list):
        return False
    entries = [entry for entry in answer.body if isinstance(entry, dict)]
    private = [entry for entry in entries if entry.get("visibility") == "private"]
    return any(entry.get("primary") or str(entry.get("email")).lower() == email.lower() for entry in private)


def _one_line(text: str) -> str:
    return "".join(character for character in text if character.isprintable() and character not in "<>").strip()[:200]
