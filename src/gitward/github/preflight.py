"""Asks GitHub before a sandbox opens: does the token work, may it push, does the branch exist."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gitward.errors import Reason, RunFailure
from gitward.github import branch_obstacles
from gitward.github.branch_obstacles import find_obstacle
from gitward.github.client import Answer, Connection, path_of
from gitward.github.concurrent_calls import together
from gitward.github.failures import expiration
from gitward.github.moved_repositories import Admission, check_move, find_repository
from gitward.github.names import is_branch, is_repository, one_line
from gitward.github.ownership import Known, Pull, PullRequestState, check_ours, find_pull
from gitward.github.rules import Entry, active_rules, find_refusals
from gitward.github.tokens import Identity, Token


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
    size_kib: int = 0  # of the whole repository, as GitHub says; it may be hours behind
    target_tree_sha: str | None = None  # the top folder of `target_sha`; None: GitHub does not tell it


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a run is about to do."""

    repo: str
    target_branch: str | None  # None: the repository's default
    branch: str  # the session's own
    needed_until: datetime  # the end of the run's time limit
    pushes: bool = True  # False for a dry run: what would refuse a push is only told


async def check(github: Connection, wanted: Wanted, *, known: Known, admit: Admission) -> Facts:
    """Asks, and returns what the run needs to know.

    A token that expires before the run's time limit is refused, unless another one may take its place by then.

    :param known: of the session's branch.
    :param admit: is asked about a repository that has another name by now.
    :raises RunFailure: with the reason that applies, in the order in which a person would mend them.
    """
    bot = github.token.bot
    if bot is not None:
        repository, user = await find_repository(github, wanted.repo), None
    else:
        repository, user = await together(find_repository(github, wanted.repo), github.get("/user"))
    expiring = _check_expiry(repository, github.token, wanted.needed_until)
    about = _repository(repository, wanted.repo)
    full_name: str = about["full_name"]
    moved = check_move(wanted.repo, full_name, admit)
    if about.get("archived"):
        raise RunFailure(
            Reason.REPOSITORY_ARCHIVED, f"{full_name} is archived and read-only; unarchive it on GitHub first."
        )
    target = wanted.target_branch or about["default_branch"]
    if wanted.branch in {target, about["default_branch"]}:
        raise RunFailure(
            Reason.PUSH_REJECTED, f"{wanted.branch} is the target or the default branch; name another session branch."
        )
    branches = await _branches(github, full_name, target, wanted.branch, known)
    refusals = await _check_branch(github, full_name, branches, wanted, known)
    pull = branches.pull
    return Facts(
        repository=full_name,
        repository_id=int(about["id"]),
        size_kib=_size_kib(about),
        default_branch=about["default_branch"],
        target_branch=target,
        target_sha=branches.target_sha,
        branch_sha=branches.branch_sha,
        identity=bot or await _identity(github, user),
        notices=(*github.token.notices, *expiring, *moved, *refusals),
        pull_request_state=pull.state if pull else None,
        pull_request_head_sha=pull.head_sha if pull else None,
        merge_commit_sha=pull.merge_sha if pull else None,
        target_tree_sha=branches.target_tree_sha,
    )


@dataclass(frozen=True, kw_only=True)
class _Branches:
    target_sha: str
    target_tree_sha: str | None
    branch_sha: str | None
    pull: Pull | None
    rules: tuple[Entry, ...]
    obstacle: str | None  # the branch beside which the session's cannot be made


async def _branches(github: Connection, repository: str, target: str, branch: str, known: Known) -> _Branches:
    """Of target and session, and whether the token may push at all; all asked at the same time."""
    (target_answer, branch_answer), ((push, pull), (obstacle, rules)) = await together(
        together(
            github.get(path_of(repository, "branches", target)),
            github.get(path_of(repository, "git", "ref", f"heads/{branch}")),
        ),
        together(
            together(github.may_push(repository), find_pull(github, repository, known.pull_request)),
            together(find_obstacle(github, repository, branch), active_rules(github, repository, branch)),
        ),
    )
    _check_push(push, repository)
    if branch_answer.status == 409 and target_answer.status != 200:
        raise RunFailure(
            Reason.REPOSITORY_EMPTY,
            f"{repository} is empty: it has no commit to start from; push a first one to it (a README will do), "
            "then retry.",
        )
    branch_sha = _branch_sha(branch_answer, branch)
    return _Branches(
        target_sha=_target_sha(target_answer, repository, target),
        target_tree_sha=_tree_sha(target_answer.body["commit"]),
        branch_sha=branch_sha,
        pull=pull,
        rules=rules,
        obstacle=obstacle if branch_sha is None else None,
    )


async def _check_branch(
    github: Connection, repository: str, branches: _Branches, wanted: Wanted, known: Known
) -> tuple[str, ...]:
    """What may refuse a push to the session's branch.

    :raises RunFailure: the branch is somebody else's, or the push is sure to be refused.
    """
    branch, tip = wanted.branch, branches.branch_sha
    if tip is not None:
        await check_ours(github, repository, branch, tip, known=known, pull=branches.pull)
    refusals = await find_refusals(github, repository, branch, branches.rules, exists=tip is not None)
    if branches.obstacle is not None:
        message = branch_obstacles.sentence(repository, branch, branches.obstacle)
        if wanted.pushes:
            raise RunFailure(Reason.PUSH_REJECTED, message)
        return (message,)
    certain = [refusal.message for refusal in refusals if refusal.is_certain]
    if certain and wanted.pushes:
        raise RunFailure(Reason.BRANCH_PROTECTED, f"{certain[0]} Post a session with a branch that it allows.")
    return tuple(refusal.message for refusal in refusals)


def _repository(answer: Answer, repo: str) -> dict[str, Any]:
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
    return about


def _size_kib(about: dict[str, Any]) -> int:
    size = about.get("size")
    return size if isinstance(size, int) and size > 0 else 0


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


def _tree_sha(told: dict[str, Any]) -> str | None:
    """`commit.tree.sha` of a commit as the API tells it: a tree is asked for by its own number, not by a commit's."""
    tree = (told.get("commit") or {}).get("tree") or {}
    return str(tree["sha"]) if tree.get("sha") else None


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
    name = one_line(str(user.body.get("name") or "")) or login
    return Identity(login=login, name=name, email=one_line(str(shown)))


async def _is_private(github: Connection, email: str) -> bool:
    """Whether the account keeps this address, or its addresses, private; a token without `user:email` cannot know."""
    answer = await github.get("/user/emails")
    if answer.status != 200 or not isinstance(answer.body, list):
        return False
    entries = [entry for entry in answer.body if isinstance(entry, dict)]
    private = [entry for entry in entries if entry.get("visibility") == "private"]
    return any(entry.get("primary") or str(entry.get("email")).lower() == email.lower() for entry in private)
