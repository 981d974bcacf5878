"""Keeps an agent's work and conversation while it goes on, so that a machine's death costs its last minutes at most.

The work is taken by the code that takes a run's result, from a tree that is being written: as good as it comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from functools import partial

from gitward.errors import RunFailure
from gitward.repositories.baseline import Baseline
from gitward.repositories.git import GitFailed
from gitward.repositories.refs import Refs
from gitward.runs.agents import memory
from gitward.runs.attempt import Attempt
from gitward.runs.context import Context
from gitward.runs.publishing import artifacts as publishing_artifacts
from gitward.runs.publishing.collected_work import collect_work
from gitward.runs.publishing.result_sandbox import open_result_sandbox
from gitward.sandboxes import SandboxError, User
from gitward.sessions import artifacts
from gitward.store.database import Transaction

log = logging.getLogger(__name__)

PASS_SECONDS = 60.0  # for one look at the work
CONVERSATION_SECONDS = 60.0  # between two looks at the conversation, at most


@contextlib.asynccontextmanager
async def kept_meanwhile(context: Context, user: User, noted: Baseline, refs: Refs) -> AsyncIterator[None]:
    """While this block lasts, what the agent did so far is kept again and again."""
    looking = asyncio.create_task(_look(context, user, noted, refs))
    try:
        yield
    finally:
        looking.cancel()
        (ended,) = await asyncio.gather(looking, return_exceptions=True)
        if isinstance(ended, Exception):  # of which the run itself need not fail
            log.error("Run %s: its work was no longer kept meanwhile", context.attempt.run.id, exc_info=ended)


async def _look(context: Context, user: User, noted: Baseline, refs: Refs) -> None:
    seconds = context.attempt.services.settings.agent_keep_seconds
    pause = min(CONVERSATION_SECONDS, seconds)
    clock = asyncio.get_running_loop().time
    due = clock() + seconds
    while True:
        await asyncio.sleep(pause)
        await memory.keep(context, final=False)
        if clock() >= due:
            await keep_work(context, user, noted, refs)
            due = clock() + seconds


async def keep_work(context: Context, user: User, noted: Baseline, refs: Refs) -> None:
    """One look. Nothing of the run is changed, and nothing is told: the next look sees more."""
    attempt = context.attempt
    try:
        with attempt.without_notices():
            await _keep_work(context, user, noted, refs)
    except (RunFailure, SandboxError, GitFailed, OSError) as failure:
        log.info("Run %s: its work so far could not be kept: %s", attempt.run.id, failure)


async def _keep_work(context: Context, user: User, noted: Baseline, refs: Refs) -> None:
    attempt = context.attempt
    async with open_result_sandbox(
        context, noted.start, user, seconds=PASS_SECONDS, offline=True, live=True
    ) as result_sandbox:
        work = await collect_work(context, result_sandbox, noted, refs)
        if not work.anything:
            await attempt.write(partial(_end, attempt))
            return
        kept = await publishing_artifacts.store(attempt, result_sandbox, work, attempt.origin, so_far=True)
    if kept is not None:
        await attempt.write(partial(_name, attempt, kept.head))


def _name(attempt: Attempt, head: str, tx: Transaction) -> None:
    attempt.services.progress.guard(tx, attempt.hold)
    artifacts.name_so_far(tx, attempt.origin, head)


def _end(attempt: Attempt, tx: Transaction) -> None:
    attempt.services.progress.guard(tx, attempt.hold)
    artifacts.end_so_far(tx, attempt.origin.run_id)
