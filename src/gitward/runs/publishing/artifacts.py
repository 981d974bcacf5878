"""Stores a run's work in the database, in three forms, from where any machine gives it back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial

from gitward.repositories import changes
from gitward.repositories.changes import Form, Span
from gitward.repositories.git import GitFailed
from gitward.repositories.mailbox import carry_returns
from gitward.repositories.submodules import Submodules
from gitward.repositories.work import Work
from gitward.runs.attempt import Attempt, StoredWork
from gitward.runs.commands.runner import OutputTooLong
from gitward.runs.publishing.result_sandbox import ResultSandbox
from gitward.sessions import artifacts
from gitward.sessions.artifacts import Origin
from gitward.sessions.changed_lines import changed_lines
from gitward.sessions.model import RUN_KINDS, ArtifactKind, EventType
from gitward.store.database import Transaction

SCARCE_BYTES = 512 * 1024  # of one artifact, while the disk of the database is full

_KINDS = {Form.BUNDLE: ArtifactKind.BUNDLE, Form.PATCH: ArtifactKind.PATCH, Form.DIFF: ArtifactKind.DIFF}

_Insert = Callable[[ArtifactKind, bytes], Awaitable[bool]]


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    kind: ArtifactKind
    form: Form
    span: Span
    required: bool  # whether it is told when it cannot be made


async def store(
    attempt: Attempt, result_sandbox: ResultSandbox, work: Work, origin: Origin, *, so_far: bool = False
) -> StoredWork | None:
    """Stores the work as a bundle for `git fetch`, a mailbox for `git am`, and a diff to read.

    Each for itself: what cannot be made, or is too long, is told, and the others are stored all the same.

    :param so_far: the command goes on; it is what is kept if its worker is lost.
    """
    insert = partial(_insert, attempt, origin, so_far)
    head = work.head if work.changed or not work.left else work.left[0].oid
    kinds: list[ArtifactKind] = []
    if work.changed or work.left:
        await changes.name_for_bundle(result_sandbox.result, result_sandbox.start.branch, head, work.left)
        kept = [
            wanted.kind
            for wanted in _wanted(result_sandbox, head)
            if await _store_one(attempt, result_sandbox, wanted, insert)
        ]
        kinds += [kind for kind in kept if kind in _KINDS.values()]
    if work.submodules is not None and await _store_submodules(attempt, result_sandbox, work.submodules, insert):
        kinds.append(ArtifactKind.SUBMODULES)
    return StoredWork(head=head, kinds=tuple(kinds)) if kinds else None


async def _store_submodules(attempt: Attempt, result_sandbox: ResultSandbox, kept: Submodules, insert: _Insert) -> bool:
    try:
        content = await changes.make_submodules(result_sandbox.result, kept, limit=artifacts.MAX_BYTES)
    except OutputTooLong:
        size = artifacts.MAX_BYTES // 2**20
        await attempt.notice(f"The bundle of submodules is longer than {size} MiB and is not kept.")
        return False
    except GitFailed as failure:
        await attempt.notice(f"git could not make the bundle of submodules: {failure}")
        return False
    return await insert(ArtifactKind.SUBMODULES, content)


def _wanted(result_sandbox: ResultSandbox, head: str) -> Iterator[_Wanted]:
    start = result_sandbox.start
    for form, kind in _KINDS.items():
        yield _Wanted(kind=kind, form=form, span=Span(base=start.target_sha, head=head), required=True)
    if start.follows:
        for form, kind in _KINDS.items():
            yield _Wanted(kind=RUN_KINDS[kind], form=form, span=Span(base=start.sha, head=head), required=False)


async def _store_one(attempt: Attempt, result_sandbox: ResultSandbox, wanted: _Wanted, insert: _Insert) -> bool:
    try:
        content = await changes.make(result_sandbox.result, wanted.form, wanted.span, limit=artifacts.MAX_BYTES)
        if wanted.form is Form.PATCH:
            content = await asyncio.to_thread(carry_returns, content)
        if len(content) > artifacts.MAX_BYTES:
            raise OutputTooLong("git", artifacts.MAX_BYTES)
    except OutputTooLong:
        await attempt.notice(f"The {wanted.form} is longer than {artifacts.MAX_BYTES // 2**20} MiB and is not kept.")
        return False
    except GitFailed as failure:
        if wanted.required:
            await attempt.notice(f"git could not make the {wanted.form}: {failure}")
        return False
    return await insert(wanted.kind, content)


async def _insert(attempt: Attempt, origin: Origin, so_far: bool, kind: ArtifactKind, content: bytes) -> bool:
    """Not on a full disk, where the rest of the reserve is for the ends of runs; that is told."""
    database = attempt.services.database
    if database.is_low and len(content) > SCARCE_BYTES:
        await database.check_disk()  # the run may just have made room
        if database.is_low:
            await attempt.notice(f"The disk of the database is full: the {kind} is not kept.")
            return False

    lines = await asyncio.to_thread(changed_lines, content) if kind is ArtifactKind.DIFF else None

    def write(tx: Transaction) -> None:
        progress = attempt.services.progress
        if lines is None:
            progress.guard(tx, attempt.hold)
        else:
            progress.update_session(tx, attempt.hold, additions=lines.additions, deletions=lines.deletions)
        artifacts.store(tx, origin, kind, content, so_far=so_far)

    await attempt.write(write)
    return True


async def record_stored(attempt: Attempt, origin: Origin, kept: StoredWork) -> None:
    """Records where the work is."""
    data = artifacts.kept_event(attempt.session.id, origin, kept.head, kept.kinds)
    await attempt.record((EventType.WORK_KEPT, data))
