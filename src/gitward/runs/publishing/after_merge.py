"""What becomes of the session's branch when its pull request was merged or closed."""

from __future__ import annotations

from dataclasses import replace

from gitward.repositories.left_commits import LeftCommit
from gitward.repositories.start_point import StartPoint
from gitward.repositories.work import Work
from gitward.runs.context import Context
from gitward.runs.publishing.result_sandbox import ResultSandbox
from gitward.sessions.model import ArtifactKind

_ENDED = {"merged": "was merged", "closed": "was closed without a merge"}
_KIND = "closed"  # of what is kept: refs/gitward/left/1-closed


def is_done(context: Context, tip: str) -> bool:
    """Whether the branch stands where its pull request ended: nobody pushed since, and what it proposed is decided."""
    return _state(context) in _ENDED and tip == context.facts.get("pull_request_head_sha")


async def record_start(context: Context, start: StartPoint) -> None:
    """Says where the run starts, when the session's pull request was merged or closed."""
    if _state(context) not in _ENDED:
        return
    attempt, tip = context.attempt, start.branch_sha
    if tip is None:
        sentence = f"{_pull(context)}, and its branch deleted; this run starts at {start.target_branch}"
    elif is_done(context, tip):
        sentence = (
            f"{_pull(context)}; this run starts at {start.target_branch}, and its change moves {start.branch} there"
        )
    elif tip in await attempt.write(lambda tx: attempt.parts.progress.branch_heads(tx, attempt.claim)):
        return  # what the session itself pushed later
    else:
        sentence = f"Somebody pushed to {start.branch} after {_pull(context, first=False)}; this run continues on that"
    await attempt.notice(f"{sentence}.")


def was_merged(context: Context, tip: str) -> bool:
    """Whether this is the commit that the session's pull request was merged with."""
    return _state(context) == "merged" and is_done(context, tip)


async def with_left_behind(context: Context, bench: ResultSandbox, work: Work) -> Work:
    """With what a push takes from the branch, if it is nowhere else: the commits of a pull request that was closed."""
    tip = bench.start.left_behind
    if tip is None or _state(context) != "closed" or await bench.result.is_ancestor(tip, work.head):
        return work
    left = LeftCommit(kind=_KIND, name=f"the commits of pull request #{_number(context)}", oid=tip)
    return replace(work, left=(*work.left, left))


async def record_left_behind(context: Context, work: Work) -> None:
    """Says where the commits are that the branch has no more."""
    found = next(((n, left) for n, left in enumerate(work.left, start=1) if left.kind == _KIND), None)
    if found is None:
        return
    attempt, (number, left) = context.attempt, found
    places = [f"GitHub has them as refs/pull/{_number(context)}/head"]
    if attempt.kept is not None and ArtifactKind.BUNDLE in attempt.kept.kinds:
        query = f"run_id={attempt.origin.run_id}&attempt={attempt.origin.attempt}"
        bundle = f"/sessions/{attempt.claim.session.id}/bundle?{query}"
        places.insert(0, f"they are in {bundle} as refs/gitward/left/{number}-{_KIND}")
    await attempt.notice(f"{_pull(context)}; of {left.name} the last is {left.oid}: {', and '.join(places)}.")


def _state(context: Context) -> str | None:
    state: str | None = context.facts.get("pull_request_state")
    return state


def _number(context: Context) -> int:
    opened = context.attempt.claim.session.pull_request
    return opened.number if opened is not None else 0


def _pull(context: Context, *, first: bool = True) -> str:
    word = "Pull" if first else "pull"
    return f"{word} request #{_number(context)} {_ENDED[_state(context) or '']}"
