"""Step `checkout`: a tree of the repository on the session's branch, made anew for each run."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gitward.errors import Reason, RunFailure
from gitward.repositories import baseline, checkout, git_folder
from gitward.repositories.baseline import Baseline
from gitward.repositories.checkout import REPO, Origin
from gitward.repositories.git import CommandResult
from gitward.repositories.refs import Refs
from gitward.repositories.start_point import StartPoint
from gitward.runs.commands import disk_full
from gitward.runs.commands.runner import CommandRunner
from gitward.runs.context import Context
from gitward.runs.publishing import after_merge
from gitward.runs.publishing.branch_start import branch_start
from gitward.runs.workspace import lfs_content
from gitward.sandboxes import Stream
from gitward.sessions.model import StepName

_MOST_ERRORS = 5  # of git's that are told


async def check_out(context: Context, commands: CommandRunner, refs: Refs) -> StartPoint:
    """Makes the checkout; where it starts.

    :raises RunFailure: `clone_failed`, `branch_not_found`, `sandbox_failed`: no room.
    """
    start, attempt = branch_start(context, refs), context.attempt
    await after_merge.record_start(context, start)
    aside = await asyncio.to_thread(_make, context.workspace, Origin(url=context.url, refs=refs), start)
    if aside is not None:
        attempt.services.trash.add(aside)
    ended = await checkout.write_tree(commands)
    await _show(context, ended)
    if ended.exit_code != 0:
        failure = RunFailure(Reason.CLONE_FAILED, f"git could not check out {start.branch}: {ended.tail}")
        raise disk_full.named(failure, ended)
    await lfs_content.bring(context, commands)
    await asyncio.to_thread(baseline.begin, context.workspace)
    return start


async def note_baseline(context: Context, refs: Refs, start: StartPoint, *, has_setup: bool = False) -> Baseline:
    """Notes what the checkout looks like right before the instruction: from here on it holds the run's work."""
    attempt = context.attempt
    folder = await asyncio.to_thread(git_folder.read, context.workspace / "work", f"{REPO}/.git")
    noted = Baseline(
        run_id=attempt.run.id,
        attempt=attempt.hold.attempt,
        repository=context.facts.repository,
        start=start,
        index=folder.index if folder is not None else None,
        has_setup=has_setup,
    )
    await asyncio.to_thread(baseline.note, context.workspace, noted, refs.raw)
    return noted


def _make(workspace: Path, origin: Origin, start: StartPoint) -> Path | None:
    aside = checkout.empty(workspace)
    checkout.make_git_folder(workspace, origin, start)
    return aside


async def _show(context: Context, ended: CommandResult) -> None:
    """Into the session's log. git may call something an error and end with 0, and then a notice says so."""
    if ended.complaint:
        async with context.output.stream(StepName.CHECKOUT) as sink:
            await sink(Stream.STDERR, ended.complaint.encode())
    if ended.exit_code == 0:
        for line in ended.errors[:_MOST_ERRORS]:
            await context.attempt.notice(f"git says: {line}")
