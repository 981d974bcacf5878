"""The sandbox of a run's result, opened when that of its commands is closed, under the same user id."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gitward.errors import Reason, RunFailure
from gitward.grants.endpoint import Nowhere
from gitward.grants.grant import ExactPush
from gitward.repositories import baseline, named_pipes, result
from gitward.repositories.result import RESULT_DIR, Result
from gitward.repositories.start_point import StartPoint
from gitward.runs.commands.runner import CommandRunner
from gitward.runs.context import Context
from gitward.runs.workspace.object_folders import shown_objects
from gitward.sandboxes import WORK_DIR, Shown, User, foreign_folders


@dataclass(frozen=True, kw_only=True)
class ResultSandbox:
    """Where a run's work is taken, shown and pushed."""

    result: Result
    commands: CommandRunner
    start: StartPoint


@contextlib.asynccontextmanager
async def open_result_sandbox(
    context: Context,
    start: StartPoint,
    user: User | None,
    *,
    seconds: float | None = None,
    offline: bool = False,
    live: bool = False,
) -> AsyncIterator[ResultSandbox]:
    """The result over the run's tree. The grant is narrowed before: not even a push is possible until it is named.

    :param user: of the run's sandbox; None: there was none, and no tree of a run is shown.
    :param seconds: of its own, when the run's time does not count.
    :param offline: nothing can be pushed; the grant stays as it is.
    :param live: the run's command goes on, and its tree is only read.
    :raises RunFailure: `task_failed`: it is live, and git would wait at a pipe in it.
    """
    attempt = context.attempt
    workspace = attempt.workspace / "result"
    if not offline:
        await narrow_to(context, start, head="f" * len(start.sha))
    shown = await asyncio.to_thread(shown_objects, attempt.workspace)
    if user is not None:
        shown.append(Shown(host=attempt.workspace / "work", inside=WORK_DIR))
    await asyncio.to_thread(_clear, workspace)
    sandbox = await attempt.services.sandboxes.open(
        name=f"{attempt.run.id}-result",
        workspace=workspace,
        endpoint=Nowhere() if offline else context.access.grant,
        limits=attempt.services.settings.limits,
        shown=shown,
        user=user,
        work_dir=RESULT_DIR,
    )
    try:
        commands = context.commands(sandbox, seconds=seconds, in_series=True)
        place = workspace / "work"
        index = baseline.index_path(attempt.workspace)
        prepare = partial(result.prepare, place, start=start, index=index, remote=context.remote)
        preparing = asyncio.create_task(asyncio.to_thread(prepare))
        try:
            if live:
                await _require_no_pipe(commands)
            elif user is not None:
                await named_pipes.remove(commands, attempt.workspace)
        finally:
            await preparing
        yield ResultSandbox(result=Result(commands, place, start), commands=commands, start=start)
    finally:
        await sandbox.close()


async def _require_no_pipe(commands: CommandRunner) -> None:
    pipe = await named_pipes.in_the_way(commands)
    if pipe is not None:
        raise RunFailure(Reason.TASK_FAILED, f"a named pipe stands where git reads: {pipe[:200]!r}")


async def narrow_to(context: Context, start: StartPoint, *, head: str, lfs_oids: tuple[str, ...] = ()) -> ExactPush:
    """Has the broker allow one push of the session's branch, and nothing else."""
    old = context.access.pushes.last or start.branch_sha or "0" * len(start.sha)
    ref = f"refs/heads/{context.attempt.session.branch}"
    push = ExactPush(old=old, new=head, ref=ref, lfs_oids=lfs_oids)
    await context.access.grant.narrow(push)
    return push


def _clear(workspace: Path) -> None:
    """An earlier result goes."""
    work = workspace / "work"
    with contextlib.suppress(FileNotFoundError):
        foreign_folders.clear(work)
