"""Uploads the LFS objects that a change names, before it is pushed: these, and only if the server lacks them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from gitward.errors import Reason, RunFailure
from gitward.grants.grant import MAX_LFS_OIDS
from gitward.repositories import foreign_folder, git_folder
from gitward.repositories.checkout import REPO
from gitward.repositories.git import LISTING_BYTES, CommandResult
from gitward.repositories.lfs import objects, transfer
from gitward.repositories.lfs.named import named_by
from gitward.repositories.lfs.pointers import Pointer
from gitward.repositories.result import LFS_STORAGE, LFS_TRANSFER
from gitward.runs.commands.retrying import run_with_retries
from gitward.runs.context import Context
from gitward.runs.publishing.result_sandbox import ResultSandbox
from gitward.sessions.model import StepName

_KEPT_FOLDER = "lfs-kept"  # below the workspace; no sandbox sees it
_KEPT_HERE = "Its bundle has only the pointers."


async def find(context: Context, result_sandbox: ResultSandbox, heads: Sequence[str]) -> tuple[Pointer, ...]:
    """The objects that the heads name beyond what is upstream, and whose content is here, hashed.

    A change without any costs a look into three folders: content of LFS lies in the result's storage, in the command's,
    or is kept from an earlier run.
    """
    storage = context.workspace / "result" / "work" / "git" / "lfs"
    if not await asyncio.to_thread(_any_content, context.workspace, storage):
        return ()
    start = result_sandbox.start
    pushed = context.access.pushes.last
    known = [
        start.sha,
        start.target_sha,
        *([pushed] if pushed is not None and await result_sandbox.result.has(pushed) else []),
    ]
    named = await named_by(result_sandbox.result, heads, known)
    lent = await asyncio.to_thread(_lend, context.workspace, named, storage)
    await _remove_false(result_sandbox, storage, lent)
    return await asyncio.to_thread(lambda: tuple(each for each in named if (storage / each.path).is_file()))


@contextlib.contextmanager
def _lenders(workspace: Path) -> Iterator[list[foreign_folder.Tree]]:
    """The storages where content may lie beside the result's."""
    with contextlib.ExitStack() as stack:
        found = []
        place = git_folder.find(workspace / "work", REPO)
        with contextlib.suppress(OSError):
            if place is not None:
                work = stack.enter_context(foreign_folder.opened(workspace / "work"))
                found.append(stack.enter_context(work.below(f"{place}/lfs")))
        with contextlib.suppress(OSError):
            found.append(stack.enter_context(foreign_folder.opened(workspace / _KEPT_FOLDER)))
        yield found


def _any_content(workspace: Path, storage: Path) -> bool:
    with foreign_folder.opened(storage) as ours, _lenders(workspace) as others:
        return not all(each.is_empty("objects") for each in (ours, *others))


def _lend(workspace: Path, named: Sequence[Pointer], storage: Path) -> list[Pointer]:
    """Links content that the command's own git-lfs made or fetched, or that is kept."""
    with _lenders(workspace) as lenders:
        return [pointer for each in lenders for pointer in objects.lend(each, named, storage)]


async def store(context: Context, found: Sequence[Pointer]) -> None:
    """Until it is uploaded, the content stays in the session's workspace: a bundle has the pointers alone."""
    if found:
        await asyncio.to_thread(_store, context, found)


def _store(context: Context, found: Sequence[Pointer]) -> None:
    kept = context.workspace / _KEPT_FOLDER
    objects.store(context.workspace / "result" / "work" / "git" / "lfs", found, kept)
    objects.trim(kept, context.attempt.services.settings.limits.disk_bytes)


async def store_unpushed(context: Context, result_sandbox: ResultSandbox, heads: Sequence[str]) -> None:
    """The same for work that is stored and not pushed; a notice tells."""
    found = await find(context, result_sandbox, heads)
    if found:
        await store(context, found)
        files = "1 LFS object" if len(found) == 1 else f"{len(found)} LFS objects"
        await context.attempt.notice(
            f"The content of {files} is kept on this machine only, where `publish` finds it; patch and bundle have "
            "the pointers."
        )


async def forget(context: Context, found: Sequence[Pointer]) -> None:
    """It is upstream."""
    if found:
        await asyncio.to_thread(_forget, context.workspace / _KEPT_FOLDER, found)


def _forget(kept: Path, found: Sequence[Pointer]) -> None:
    for pointer in found:
        (kept / pointer.path).unlink(missing_ok=True)


async def _remove_false(result_sandbox: ResultSandbox, storage: Path, lent: Sequence[Pointer]) -> None:
    """A file of the command's is what its name says, or it is not used. It is hashed in the sandbox: it may be long."""
    if not lent:
        return
    lines = "".join(f"{each.oid}  {LFS_STORAGE}/{each.path}\n" for each in lent).encode()
    ended = await result_sandbox.commands.capture(("sha256sum", "--check"), limit=LISTING_BYTES, cwd="/", stdin=lines)
    right = {line.removesuffix(b": OK") for line in ended.output.splitlines() if line.endswith(b": OK")}
    for each in lent:
        if f"{LFS_STORAGE}/{each.path}".encode() not in right:
            await asyncio.to_thread((storage / each.path).unlink)


def names(found: Sequence[Pointer], head: str) -> tuple[str, ...]:
    """What the grant must allow.

    :raises RunFailure: `push_rejected`: it is more than one push may have.
    """
    if len(found) > MAX_LFS_OIDS:
        message = f"The change names {len(found)} LFS objects; one push may have {MAX_LFS_OIDS}. {_KEPT_HERE}"
        raise RunFailure(Reason.PUSH_REJECTED, message, exit_code=0, head_sha=head)
    return tuple(each.oid for each in found)


async def upload(context: Context, result_sandbox: ResultSandbox, head: str, found: Sequence[Pointer]) -> None:
    """Uploads those of the objects that the server does not have. The grant must name them.

    :raises RunFailure: `push_rejected`.
    """
    if not found:
        return
    folder = context.workspace / "result" / "work" / Path(LFS_TRANSFER).name
    await asyncio.to_thread(transfer.prepare, folder, context.remote, storage=LFS_STORAGE)

    async def once(_again: bool) -> CommandResult:
        return await transfer.push(result_sandbox.commands, LFS_TRANSFER, found)

    def failed(ended: CommandResult) -> RunFailure:
        message = f"The LFS objects of the change could not be uploaded: {ended.tail} {_KEPT_HERE}"
        return RunFailure(Reason.PUSH_REJECTED, message, exit_code=0, head_sha=head)

    await run_with_retries(context.attempt, result_sandbox.commands, StepName.PUBLISH, once, failed=failed)
