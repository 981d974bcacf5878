"""Publishes again what an ended run kept: its bundle becomes the result; nothing is executed."""

from __future__ import annotations

import asyncio
from functools import partial

from gitward.errors import Reason, RunFailure
from gitward.repositories import baseline
from gitward.repositories.git import GitFailed
from gitward.repositories.result import RESULT_DIR, Result
from gitward.repositories.start_point import StartPoint
from gitward.repositories.work import Work
from gitward.runs.context import Context
from gitward.runs.publishing import after_merge
from gitward.runs.publishing.branch_start import branch_start
from gitward.runs.publishing.push_and_store import Published, deliver
from gitward.runs.publishing.result_sandbox import ResultSandbox, open_result_sandbox
from gitward.runs.workspace.object_folders import objects_folder
from gitward.runs.workspace.snapshot import take_snapshot
from gitward.sessions import artifacts
from gitward.sessions.artifacts import Origin
from gitward.sessions.model import ArtifactKind, StepName

_BUNDLE = "kept.bundle"


async def publish_kept(context: Context) -> Published:
    """Pushes the head of the kept bundle, unless the branch has it already.

    Of a pull request that was closed without a merge the branch may be taken away; its commits are kept.

    :raises RunFailure: `push_rejected` also when the branch went on since, so that the push would drop commits.
    """
    attempt, instruction = context.attempt, context.instruction
    assert instruction.publish_of is not None
    assert instruction.publish_attempt is not None
    origin = Origin(run_id=instruction.publish_of, attempt=instruction.publish_attempt)
    content = await attempt.write(partial(artifacts.content, origin=origin, kind=ArtifactKind.BUNDLE))
    if content is None:
        raise RunFailure(Reason.TASK_FAILED, "The work of that run is not kept any more.")
    await asyncio.to_thread(objects_folder, context.workspace)
    refs = await take_snapshot(context)
    start = branch_start(context, refs)
    if await asyncio.to_thread(baseline.find, context.workspace) is not None:
        await attempt.notice("What an earlier run had written, and what could not be kept then, is given up.")
    await asyncio.to_thread(baseline.drop, context.workspace)
    async with attempt.step(StepName.PUBLISH), open_result_sandbox(context, start, None) as result_sandbox:
        head = await _head_of(context, result_sandbox, content)
        done = await _done(context, result_sandbox.result, head, start)
        if done is not None:
            return done
        work = await after_merge.with_left_behind(context, result_sandbox, Work(head=head, changed=True))
        head = await deliver(context, result_sandbox, work, refs)
    return Published(message=f"Pushed {head[:12]} to {start.branch}.", changed=True, head_sha=head, pushed=True)


async def _done(context: Context, result: Result, head: str, start: StartPoint) -> Published | None:
    """When the work is upstream already."""
    if await result.is_ancestor(head, start.target_sha):
        return Published(message=f"{start.target_branch} has {head[:12]} already.", changed=False, head_sha=head)
    tip = start.branch_sha
    is_there = tip is not None and await result.is_ancestor(head, tip)
    if after_merge.was_merged(context, tip if is_there and tip is not None else head):
        return Published(message=f"{head[:12]} was merged with its pull request.", changed=False, head_sha=head)
    if tip is not None and is_there:
        return Published(message=f"{start.branch} has {head[:12]} already.", changed=True, head_sha=tip, pushed=True)
    if tip is not None and not after_merge.is_done(context, tip) and not await result.is_ancestor(tip, head):
        message = f"{start.branch} moved on since that run; a push of its work would drop commits."
        raise RunFailure(Reason.PUSH_REJECTED, message, head_sha=head)
    return None


async def _head_of(context: Context, result_sandbox: ResultSandbox, content: bytes) -> str:
    """Takes the bundle's commits into the result; git hashes each object again."""
    place = context.workspace / "result" / "work" / _BUNDLE
    await asyncio.to_thread(place.write_bytes, content)
    await asyncio.to_thread(place.chmod, 0o644)
    git = result_sandbox.result.bare
    try:
        await git.do("fetch", "--quiet", "--no-tags", "--", f"{RESULT_DIR}/{_BUNDLE}", "+HEAD:refs/kept/head")
    except GitFailed as failure:
        message = f"The kept work does not fit the repository any more: {failure}"
        raise RunFailure(Reason.TASK_FAILED, message) from failure
    [head] = await result_sandbox.result.resolve("refs/kept/head^{commit}")
    if head is None:
        raise RunFailure(Reason.TASK_FAILED, "The kept work has no commit.")
    return head[0]
