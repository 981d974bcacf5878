"""Brings a change upstream and into the database, with other addresses when GitHub refuses a private one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass

from gitward.errors import RunFailure
from gitward.repositories.refs import Refs
from gitward.repositories.work import Work
from gitward.runs.attempt import Attempt
from gitward.runs.context import Context
from gitward.runs.publishing import after_merge, artifacts, lfs_upload, private_addresses, push
from gitward.runs.publishing.result_sandbox import ResultSandbox
from gitward.sessions.model import ArtifactKind


@dataclass(frozen=True, kw_only=True)
class Published:
    """What became of the change."""

    message: str
    changed: bool
    head_sha: str
    pushed: bool = False


async def deliver(context: Context, bench: ResultSandbox, work: Work, refs: Refs) -> str:
    """The head that is upstream now.

    :raises RunFailure: as `push.push`; its message says whether the work is kept.
    """
    try:
        work = await _with_public_addresses(context, bench, work, refs)
    except RunFailure as failure:
        if failure.head_sha is not None:
            failure.message += stored_work_sentence(context.attempt)
        raise
    await after_merge.record_left_behind(context, work)
    return work.head


async def _with_public_addresses(context: Context, bench: ResultSandbox, work: Work, refs: Refs) -> Work:
    try:
        await _all(push.push(context, bench, work), store(context, bench, work))
    except push.PrivateAddress as refused:
        other = await private_addresses.replaced(context, bench, work, refs, refused)
        if other is None:
            raise
        await _all(push.push(context, bench, other), store(context, bench, other))
        return other
    return work


async def store(context: Context, bench: ResultSandbox, work: Work) -> None:
    attempt = context.attempt
    attempt.kept = await artifacts.store(attempt, bench, work, attempt.origin)


async def store_unpushed(context: Context, bench: ResultSandbox, work: Work) -> None:
    """With the content of its LFS files, which no bundle has."""
    await store(context, bench, work)
    await lfs_upload.store_unpushed(context, bench, [work.head, *(each.oid for each in work.left)])


def stored_work_sentence(attempt: Attempt, *, fit: bool = True) -> str:
    """What can be done with work that is not upstream.

    :param fit: whether it could be published as it is.
    """
    kinds = attempt.kept.kinds if attempt.kept is not None else ()
    inner = " Commits of submodules are in bundle?of=submodules." if ArtifactKind.SUBMODULES in kinds else ""
    if ArtifactKind.BUNDLE in kinds:
        again = "publish the run again when that is fixed, or " if fit else ""
        return f" The work is kept: {again}fetch its bundle.{inner}"
    whole = [kind for kind in kinds if kind is not ArtifactKind.SUBMODULES]
    return (f" The work is kept as a {whole[0]}." if whole else "") + inner


async def _all(*works: Awaitable[object]) -> None:
    """Both at the same time, each to its end whatever becomes of the other; then the first failure is raised."""
    for result in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
