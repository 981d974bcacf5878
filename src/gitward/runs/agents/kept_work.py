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
class Lost:
    """Work of an attempt of this run that was lost with its worker."""

    bundle: str  # where it lies inside
    laid_back: bool  # whether it is in the checkout again


@dataclass(frozen=True, kw_only=True)
class Offered:
    """Work of an earlier run that is nowhere else."""

    work: KeptWork
    bundle: str


async def lay_back(context: Context, commands: CommandRunner, noted: Baseline) -> Lost | None:
    """Brings the checkout where the lost attempt had it, as far as that was kept. None: there is nothing."""
    attempt = context.attempt
    number = await attempt.write(lambda tx: history.lost_work(tx, attempt.run))
    if number is None:
        return None
    path = f"{KEPT_DIR}/attempt-{number}.bundle"
    content = await _write(context, commands, Origin(run_id=attempt.run.id, attempt=number), path)
    if content is None:
        return None
    found = _HEAD.search(content[:_HEADER])
    return Lost(bundle=path, laid_back=found is not None and await _apply(context, commands, noted, path, found[1]))


async def _apply(context: Context, commands: CommandRunner, noted: Baseline, path: str, head: bytes) -> bool:
    """The branch goes on to the kept commit. One that Gitward made of loose changes becomes loose changes again."""
    commit = head.decode()
    steps = [
        ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", path, "HEAD"],
        ["merge-base", "--is-ancestor", noted.start.sha, commit],
        ["reset", "--quiet", "--hard", commit],
    ]
    for each in steps:
        if not await _does(commands, *each):
            return False
    ours = await commands.capture(
        ["git", "show", "--no-patch", "--format=%(trailers:key=Gitward-Session,valueonly)", commit], limit=_ANSWER
    )
    if ours.exit_code == 0 and ours.output.decode("utf-8", "replace").strip() == context.attempt.session.id:
        return await _does(commands, "reset", "--quiet", "--mixed", f"{commit}^")
    return True


async def _does(commands: CommandRunner, *arguments: str) -> bool:
    return (await commands.capture(["git", *arguments], limit=_ANSWER, cwd=CHECKOUT_DIR)).exit_code == 0


async def offer(context: Context, commands: CommandRunner) -> tuple[Offered, ...]:
    """Brings the bundles of the session's earlier runs whose work is not on the branch."""
    attempt = context.attempt
    found = await attempt.write(lambda tx: history.unpublished_work(tx, attempt.run, most=MOST_OFFERED))
    offered = []
    for each in found:
        path = f"{KEPT_DIR}/run-{each.run.number}.bundle"
        if await _write(context, commands, Origin(run_id=each.run.id, attempt=each.attempt), path) is not None:
            offered.append(Offered(work=each, bundle=path))
    return tuple(offered)


async def _write(context: Context, commands: CommandRunner, origin: Origin, path: str) -> bytes | None:
    content = await context.attempt.write(partial(artifacts.content, origin=origin, kind=ArtifactKind.BUNDLE))
    if content is not None:
        await commands.sandbox.write(path, content, mode=0o644)
    return content
