"""What becomes of work that did not come to its end: it is taken as any work is, and stored."""

from __future__ import annotations

import asyncio
import logging

from gitward.broker import BrokerError
from gitward.errors import RunFailure
from gitward.repositories import baseline
from gitward.repositories.baseline import Baseline
from gitward.repositories.git import GitFailed
from gitward.repositories.work import Work
from gitward.runs.checkpoints import RunCancelled
from gitward.runs.commands.runner import LimitReached
from gitward.runs.context import Context
from gitward.runs.publishing import artifacts, lfs_upload, push
from gitward.runs.publishing.collected_work import collect_work
from gitward.runs.publishing.result_sandbox import open_result_sandbox
from gitward.runs.recovery import disk_space
from gitward.sandboxes import SandboxError, User
from gitward.sessions.artifacts import Origin

log = logging.getLogger(__name__)

SALVAGE_SECONDS = 30.0  # for each of the two tries
ASKING_SECONDS = 10.0  # to ask GitHub where the branch stands
_FAULTS = (RunFailure, SandboxError, BrokerError, GitFailed, OSError)


async def rescue(context: Context, user: User, end: RunCancelled | RunFailure, *, for_good: bool) -> None:
    """Stores the work of a run that failed or was cancelled, and finds out whether a push that was cut off arrived.

    :param for_good: work that cannot be stored is given up; else it stays for the session's next run.
    """
    if isinstance(end, RunFailure) and (fault := await disk_space.fault(context.workspace)) is not None:
        told = fault.replace("is ", "was ", 1)
        end.message += f" The disk of the workspaces {told}; make room on it, or lower GITWARD_DISK."
    attempt = context.attempt
    await _check_push(context, end)
    noted = await asyncio.to_thread(baseline.find, context.workspace)
    if noted is None or (noted.run_id, noted.attempt) != (attempt.run.id, attempt.hold.attempt):
        return
    if attempt.stored_work is not None:  # by publish
        await artifacts.record_stored(attempt, attempt.origin, attempt.stored_work)
        await asyncio.to_thread(baseline.drop, context.workspace)
    else:
        await store_work(context, user, noted, for_good=for_good)


async def rescue_published(context: Context, end: RunCancelled | RunFailure) -> None:
    """As `rescue`, for a run that publishes what was kept: where that lies, and whether a push arrived."""
    attempt = context.attempt
    await _check_push(context, end)
    if attempt.stored_work is not None:
        await artifacts.record_stored(attempt, attempt.origin, attempt.stored_work)


async def _check_push(context: Context, end: RunCancelled | RunFailure) -> None:
    if context.attempt.pushing_sha is None:
        return
    pushed = await _find_pushed(context)
    if pushed is not None and isinstance(end, RunCancelled):
        end.pushed_sha = pushed
    elif pushed is not None and isinstance(end, RunFailure):
        end.head_sha = pushed


async def store_lost_work(context: Context, user: User) -> None:
    """Before the checkout is made anew: stores what an attempt had done that was lost on this machine."""
    noted = await asyncio.to_thread(baseline.find, context.workspace)
    if noted is not None:
        await store_work(context, user, noted)


async def store_work(context: Context, user: User, noted: Baseline, *, for_good: bool = True) -> None:
    """Stores the work that `noted` is the measure of, and tells where. Never fails: a run ends for its own reason.

    First as the checkout is; then, on a disk that is full, after what is no part of the work was removed.
    """
    try:
        async with context.attempt.notices_if_it_ends_well():  # of the last pass alone are they true
            await _store(context, user, noted, clear=False)
    except _FAULTS as failure:
        log.warning("Run %s: not all of its work could be kept: %s", noted.run_id, failure)
        limited = isinstance(failure, LimitReached | OSError)
        if not await _stored_after_making_room(context, user, noted, limited=limited):
            later = "" if for_good else "; the session's next run tries again"
            await context.attempt.notice(f"What the command had written by then could not be kept{later}.")
            if not for_good:
                return
    await asyncio.to_thread(baseline.drop, context.workspace)


async def _stored_after_making_room(context: Context, user: User, noted: Baseline, *, limited: bool) -> bool:
    try:
        full = limited or await disk_space.fault(context.workspace) is not None
        if full:
            await disk_space.clear(context)
        await _store(context, user, noted, clear=full)
    except _FAULTS as failure:
        log.warning("Run %s: its work could not be kept: %s", noted.run_id, failure)
        return False
    return True


async def _store(context: Context, user: User, noted: Baseline, *, clear: bool) -> None:
    attempt = context.attempt
    origin = Origin(run_id=noted.run_id, attempt=noted.attempt)
    refs = await asyncio.to_thread(baseline.refs, context.workspace)
    async with open_result_sandbox(context, noted.start, user, seconds=SALVAGE_SECONDS, offline=True) as result_sandbox:
        if clear:
            await disk_space.clear_ignored(context, result_sandbox)
        work = await collect_work(context, result_sandbox, noted, refs)
        if work.problem is not None and not clear and (fault := await disk_space.fault(context.workspace)) is not None:
            raise OSError(f"{work.problem.message} The disk {fault}.")  # git leaves out what it has no room for
        if not work.anything:
            await _record_notices(context, work)
            return
        kept = await artifacts.store(attempt, result_sandbox, work, origin)
        await lfs_upload.store_unpushed(context, result_sandbox, [work.head, *(each.oid for each in work.left)])
    if kept is not None:
        await artifacts.record_stored(attempt, origin, kept)
    await _record_notices(context, work)


async def _record_notices(context: Context, work: Work) -> None:
    for notice in work.notices:
        await context.attempt.notice(notice)


async def _find_pushed(context: Context) -> str | None:
    """The head that GitHub has, when the attempt's last push is one of which this is not known.

    A push that arrives even later stands too; the session's next run begins there.
    """
    try:
        async with asyncio.timeout(ASKING_SECONDS):
            return await push.find_pushed(context.attempt, context.access.pushes.last)
    except (RunFailure, TimeoutError) as failure:
        log.warning("Run %s: did its push arrive? %s", context.attempt.run.id, failure)
        return None
