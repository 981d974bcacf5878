"""Whose branch it is: the session's own, or somebody else's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gitward.errors import Reason, RunFailure
from gitward.github.client import Connection, path_of

PullRequestState = Literal["open", "merged", "closed"]


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a session knows of its branch before GitHub is asked."""

    pushed_sha: str | None = None  # a head whose push GitHub accepted
    heads: tuple[str, ...] = ()  # those that the session was about to push; whether they arrived is not known
    pull_request: int | None = None  # the number of its pull request


@dataclass(frozen=True, kw_only=True)
class Pull:
    """The session's pull request as GitHub has it."""

    state: PullRequestState
    head: str  # the branch that it proposes
    head_sha: str  # where that branch stood when GitHub last looked
    merge_sha: str | None  # the commit that it was merged by


async def find_pull(github: Connection, repository: str, number: int | None) -> Pull | None:
    """None when there is no number, or no pull request of the repository's own branch with it."""
    if number is None:
        return None
    answer = await github.get(path_of(repository, "pulls", number))
    if answer.status != 200 or not isinstance(answer.body, dict):
        return None
    body, head = answer.body, answer.body["head"]
    source = (head.get("repo") or {}).get("full_name")  # null when a fork was deleted
    if not isinstance(source, str) or source.lower() != repository.lower():
        return None
    merged = bool(body.get("merged"))
    return Pull(
        state="merged" if merged else "open" if body["state"] == "open" else "closed",
        head=str(head["ref"]),
        head_sha=str(head["sha"]),
        merge_sha=str(body["merge_commit_sha"]) if merged and body.get("merge_commit_sha") else None,
    )


async def check_ours(
    github: Connection, repository: str, branch: str, tip: str, *, known: Known, pull: Pull | None
) -> None:
    """Lets a branch pass that the session pushed, also when somebody pushed upon that or upon its pull request.

    A reviewer may have rewritten it before it was merged. What stands in a pull request that was closed is not merged,
    so it must be the session's.

    :param tip: where the branch stands upstream.
    :raises RunFailure: `push_rejected`: it is somebody else's.
    """
    if tip in {known.pushed_sha, *known.heads}:
        return
    if pull is not None and pull.head == branch and (pull.state == "open" or _is_merged(pull, tip)):
        return
    if known.pushed_sha is not None and await _is_ancestor(github, repository, known.pushed_sha, tip):
        return
    raise RunFailure(
        Reason.PUSH_REJECTED,
        f"The branch {branch} already exists in {repository}, and this session did not push its commits; post a "
        "session with another branch.",
    )


def _is_merged(pull: Pull, tip: str) -> bool:
    """Whether the target has all that the branch has."""
    return pull.state == "merged" and pull.head_sha == tip


async def _is_ancestor(github: Connection, repository: str, commit: str, tip: str) -> bool:
    """Of a commit that is not upstream any more GitHub knows nothing: then it is none."""
    answer = await github.get(path_of(repository, "compare", f"{commit}...{tip}"), per_page="1")
    return (
        answer.status == 200 and isinstance(answer.body, dict) and answer.body.get("status") in {"ahead", "identical"}
    )
