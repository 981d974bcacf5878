"""Work that was kept and is not in the fresh checkout, brought into the sandbox: laid back after a lost attempt, and
offered to a follow-up."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial

from gitward.repositories.baseline import Baseline
from gitward.repositories.checkout import CHECKOUT_DIR
from gitward.runs.commands.runner import CommandRunner
from gitward.runs.context import Context
from gitward.sandboxes import WORK_DIR
from gitward.sessions import artifacts, history
from gitward.sessions.artifacts import Origin
from gitward.sessions.history import KeptWork
from gitward.sessions.model import ArtifactKind

KEPT_DIR = f"{WORK_DIR}/kept"  # inside
MOST_OFFERED = 3
_HEAD = re.compile(rb"^([0-9a-f]{40}|[0-9a-f]{64}) HEAD$", re.MULTILINE)
_HEADER = 64 * 1024  # bytes of a bundle in which its head is named
_ANSWER = 4096


@dataclass(frozen=True, kw_only=True)
class Brought:
    """Kept work, inside the sandbox."""

    bundle: str  # the file
    commit: str | None  # its last one, in the checkout's objects and on no branch; None: it does not fit any more


@dataclass(frozen=True, kw_only=True)
class Lost:
    """Work of an attempt of this run that was lost with its worker."""

    brought: Brought
    laid_back: bool  # whether it is in the checkout again


@dataclass(frozen=True, kw_only=True)
class Offered:
    """Work of an earlier run that is nowhere else."""

    work: KeptWork
    brought: Brought


async def lay_back(context: Context, commands: CommandRunner, noted: Baseline) -> Lost | None:
    """Brings the checkout where the lost attempt had it, as far as that was kept. None: there is nothing."""
    attempt = context.attempt
    number = await attempt.write(lambda tx: history.lost_work(tx, attempt.run))
    if number is None:
        return None
    origin = Origin(run_id=attempt.run.id, attempt=number)
    brought = await _bring(context, commands, origin, f"{KEPT_DIR}/attempt-{number}.bundle")
    if brought is None:
        return None
    fits = brought.commit is not None and await _apply(context, commands, noted, brought.commit)
    return Lost(brought=brought, laid_back=fits)


async def _apply(context: Context, commands: CommandRunner, noted: Baseline, commit: str) -> bool:
    """The branch goes on to the kept commit. One that Gitward made of loose changes becomes loose changes again."""
    if not await _does(commands, "merge-base", "--is-ancestor", noted.start.sha, commit):
        return False
    if not await _does(commands, "reset", "--quiet", "--hard", commit):
        return False
    ours = await commands.capture(
        ["git", "show", "--no-patch", "--format=%(trailers:key=Gitward-Session,valueonly)", commit], limit=_ANSWER
    )
    if ours.exit_code == 0 and ours.output.decode("utf-8", "replace").strip() == context.attempt.session.id:
        return await _does(commands, "reset", "--quiet", "--mixed", f"{commit}^")
    return True


async def offer(context: Context, commands: CommandRunner) -> tuple[Offered, ...]:
    """Brings the work of the session's earlier runs that is not on the branch."""
    attempt = context.attempt
    found = await attempt.write(lambda tx: history.unpublished_work(tx, attempt.run, most=MOST_OFFERED))
    offered = []
    for each in found:
        origin = Origin(run_id=each.run.id, attempt=each.attempt)
        brought = await _bring(context, commands, origin, f"{KEPT_DIR}/run-{each.run.number}.bundle")
        offered += [] if brought is None else [Offered(work=each, brought=brought)]
    return tuple(offered)


async def _bring(context: Context, commands: CommandRunner, origin: Origin, path: str) -> Brought | None:
    """Not by FETCH_HEAD: what that names came from upstream, and is no work."""
    content = await context.attempt.write(partial(artifacts.content, origin=origin, kind=ArtifactKind.BUNDLE))
    if content is None:
        return None
    await commands.sandbox.write(path, content, mode=0o644)
    head = _HEAD.search(content[:_HEADER])
    fetch = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", path, "HEAD")
    fits = head is not None and await _does(commands, *fetch)
    return Brought(bundle=path, commit=head[1].decode() if head is not None and fits else None)


async def _does(commands: CommandRunner, *arguments: str) -> bool:
    return (await commands.capture(["git", *arguments], limit=_ANSWER, cwd=CHECKOUT_DIR)).exit_code == 0
