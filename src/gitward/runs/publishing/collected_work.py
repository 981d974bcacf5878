"""The work of a run, brought from its checkout into the result."""

from __future__ import annotations

import asyncio

from gitward.errors import Reason, RunFailure
from gitward.repositories import work as work_of
from gitward.repositories.baseline import Baseline
from gitward.repositories.git import GitFailed
from gitward.repositories.refs import Refs
from gitward.repositories.work import Scene, Work
from gitward.runs.context import Context, trailers
from gitward.runs.publishing.commit_message import commit_message
from gitward.runs.publishing.result_sandbox import ResultSandbox


async def collect_work(context: Context, bench: ResultSandbox, noted: Baseline, refs: Refs) -> Work:
    """What the run left, in the result.

    :raises RunFailure: `task_failed`: git cannot work with what is there.
    """
    scene = Scene(
        workspace=context.workspace,
        baseline=noted,
        upstream=await asyncio.to_thread(lambda: frozenset(oid for _, oid in refs)),
        author=context.author,
        message=commit_message(context.attempt.claim.session, context.attempt.claim.run),
        trailers=tuple(trailers(context)),
        pushed=context.opened.pushes.heads,
    )
    try:
        return await work_of.take(bench.result, scene)
    except GitFailed as failure:
        message = f"git cannot take the run's files: {failure}"
        raise RunFailure(Reason.TASK_FAILED, message) from failure
