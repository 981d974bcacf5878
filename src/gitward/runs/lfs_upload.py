"""Uploads the LFS objects that a change names, before it is pushed: these, and only if the server lacks them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path

from gitward.errors import Reason, RunFailure
from gitward.grants.grant import MAX_LFS_OIDS
from gitward.repositories import git_folder
from gitward.repositories.checkout import REPO
from gitward.repositories.git import LISTING_BYTES, Ended
from gitward.repositories.lfs import objects, transfer
from gitward.repositories.lfs.named import named_by
from gitward.repositories.lfs.pointers import Pointer
from gitward.repositories.result import LFS_STORAGE, LFS_TRANSFER
from gitward.runs.context import Context
from gitward.runs.reaching import reach
from gitward.runs.result_sandbox import Bench
from gitward.sessions.model import StepName

KEPT = "The work is kept: publish the run again when that is mended, or fetch its bundle."


async def find(context: Context, bench: Bench, head: str) -> tuple[Pointer, ...]:
    """The objects that `head` names beyond what is upstream, and whose content is here, hashed.

    A change without any costs a look into two folders: content of LFS lies in the result's storage or the command's.

    :raises RunFailure: `push_rejected`: there are more than one push may have.
    """
    storage = context.workspace / "result" / "work" / "git" / "lfs"
    work = context.workspace / "work"
    if not await asyncio.to_thread(_any_content, storage, work):
        return ()
    start = bench.start
    pushed = context.opened.pushes.last
    known = [start.sha, start.target_sha, *([pushed] if pushed is not None and await bench.result.has(pushed) else [])]
    named = await named_by(bench.result, head, known)
    if len(named) > MAX_LFS_OIDS:
        message = f"The change names {len(named)} LFS objects; one push may have {MAX_LFS_OIDS}. The work is kept."
        raise RunFailure(Reason.PUSH_REJECTED, message, exit_code=0, head_sha=head)
    lent = await asyncio.to_thread(_lend, work, named, storage)
    await _remove_false(bench, storage, lent)
    return await asyncio.to_thread(lambda: tuple(each for each in named if (storage / each.path).is_file()))


def _any_content(storage: Path, work: Path) -> bool:
    with git_folder.opened(storage) as ours:
        if not ours.is_empty("objects"):
            return True
    theirs = _their_storage(work)
    try:
        with git_folder.opened(work) as root:
            return theirs is not None and not root.is_empty(f"{theirs}/objects")
    except OSError:
        return False


def _their_storage(work: Path) -> str | None:
    place = git_folder.find(work, REPO)
    return f"{place}/lfs" if place is not None else None


def _lend(work: Path, named: Sequence[Pointer], storage: Path) -> list[Pointer]:
    """Links the content that the command's own git-lfs made or fetched."""
    theirs = _their_storage(work)
    if theirs is None:
        return []
    with contextlib.suppress(OSError), git_folder.opened(work) as root, root.below(theirs) as source:
        return objects.lend(source, named, storage)
    return []


async def _remove_false(bench: Bench, storage: Path, lent: Sequence[Pointer]) -> None:
    """A file of the command's is what its name says, or it is not used. It is hashed in the sandbox: it may be long."""
    if not lent:
        return
    lines = "".join(f"{each.oid}  {LFS_STORAGE}/{each.path}\n" for each in lent).encode()
    ended = await bench.commands.capture(("sha256sum", "--check"), limit=LISTING_BYTES, cwd="/", stdin=lines)
    right = {line.removesuffix(b": OK") for line in ended.output.splitlines() if line.endswith(b": OK")}
    for each in lent:
        if f"{LFS_STORAGE}/{each.path}".encode() not in right:
            await asyncio.to_thread((storage / each.path).unlink)


async def upload(context: Context, bench: Bench, head: str, found: Sequence[Pointer]) -> None:
    """Uploads those of the objects that the server does not have. The grant must name them.

    :raises RunFailure: `push_rejected`.
    """
    if not found:
        return
    folder = context.workspace / "result" / "work" / Path(LFS_TRANSFER).name
    await asyncio.to_thread(transfer.prepare, folder, context.remote, storage=LFS_STORAGE)

    async def once(_again: bool) -> Ended:
        return await transfer.push(bench.commands, LFS_TRANSFER, found)

    def failed(ended: Ended) -> RunFailure:
        message = f"The LFS objects of the change could not be uploaded: {ended.tail} {KEPT}"
        return RunFailure(Reason.PUSH_REJECTED, message, exit_code=0, head_sha=head)

    await reach(context.attempt, bench.commands, StepName.PUBLISH, once, failed=failed)
