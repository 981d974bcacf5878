"""Content for the LFS files of a fresh checkout: from the mirror's cache, else from the server."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from gitward.errors import Reason, RunFailure
from gitward.repositories.entries import shown
from gitward.repositories.git import Ended, GitFailed
from gitward.repositories.lfs import detection, objects, transfer, tree
from gitward.repositories.lfs.pointers import Pointer
from gitward.runs.commands import Commands
from gitward.runs.context import Context
from gitward.runs.opening import lfs_folder
from gitward.runs.reaching import may_pass, reach
from gitward.runs.snapshot import source_of
from gitward.sandboxes import WORK_DIR, trees
from gitward.sessions.model import StepName

_TRANSFER = "lfs-transfer"  # below the workspace's `work`, while objects are fetched
_SHOWN_NAMES = 10
_MIB = 1024 * 1024

Wanted = Mapping[Pointer, Sequence[bytes]]  # objects, with the paths of their files


async def bring(context: Context, commands: Commands) -> None:
    """Content takes the place of pointers. Those whose object nobody has stay, and are named in a notice.

    No command of the run may have begun. A repository without LFS costs a look at the names in its index.

    :raises RunFailure: `clone_failed`, when the objects could not be fetched for now.
    """
    work = context.workspace / "work"
    if not await asyncio.to_thread(detection.is_used, work):
        return
    try:
        wanted = await tree.find(commands, work)
        if not wanted or not await _fits(context, wanted):
            return
        found = await _lent_or_fetched(context, commands, wanted)
        if found:
            await tree.fill(commands, work, [path for pointer in found for path in wanted[pointer]])
    except GitFailed as failure:
        raise RunFailure(Reason.CLONE_FAILED, f"The LFS files could not be checked out: {failure}") from failure


async def _fits(context: Context, wanted: Wanted) -> bool:
    """Whether there is room for the objects and for the files, as far as the sandbox may use the disk."""
    needed = sum(pointer.size * (1 + len(paths)) for pointer, paths in wanted.items())
    if needed <= context.attempt.parts.settings.limits.disk_bytes:
        return True
    await context.attempt.notice(
        f"The LFS files need {needed // _MIB} MiB of disk, more than GITWARD_DISK allows, so they are pointers; "
        "`git lfs pull --include` in the command fetches some of them."
    )
    return False


async def _lent_or_fetched(context: Context, commands: Commands, wanted: Wanted) -> set[Pointer]:
    """The objects that lie in the run's storage afterwards."""
    mirrors, source = context.attempt.parts.mirrors, source_of(context)
    storage = await asyncio.to_thread(lfs_folder, context.workspace)
    found = await mirrors.lend_lfs(source, wanted, storage)
    if len(found) == len(wanted):
        return found
    fetching = _Fetching(context, commands, storage, set(wanted) - found)
    await reach(context.attempt, commands, StepName.CHECKOUT, fetching.once, failed=_failed)
    await mirrors.keep_lfs(source, fetching.found, storage)
    if fetching.missing:
        await context.attempt.notice(_told(fetching, wanted))
    return found | fetching.found


class _Fetching:
    """Fetches what is missing; each try asks for what is left."""

    def __init__(self, context: Context, commands: Commands, storage: Path, missing: set[Pointer]) -> None:
        self.missing = missing
        self.found: set[Pointer] = set()
        self.refusal = ""  # what git-lfs said about those that are missing for good
        self._context, self._commands, self._storage = context, commands, storage

    async def once(self, _again: bool) -> Ended:
        folder = self._context.workspace / "work" / _TRANSFER
        await asyncio.to_thread(self._prepare, folder)
        ended = await transfer.fetch(self._commands, f"{WORK_DIR}/{_TRANSFER}")
        arrived = await asyncio.to_thread(self._take_over, folder)
        self.found |= arrived
        self.missing -= arrived
        if self.missing and ended.exit_code != 0 and may_pass(ended):
            return ended
        self.refusal = ended.complaint
        return Ended(exit_code=0)

    def _prepare(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        transfer.prepare(folder, self._context.remote, self.missing)

    def _take_over(self, folder: Path) -> set[Pointer]:
        arrived = objects.take_over(folder / transfer.STORAGE, self.missing, self._storage)
        trees.clear(folder)
        folder.rmdir()
        return arrived


def _failed(ended: Ended) -> RunFailure:
    return RunFailure(Reason.CLONE_FAILED, f"The LFS objects could not be fetched: {ended.tail}")


def _told(fetching: _Fetching, wanted: Wanted) -> str:
    names = _listed(sorted({shown(path) for pointer in fetching.missing for path in wanted[pointer]}))
    why = _reason(fetching.refusal)
    return f"These LFS files are pointers, for the server did not give their content{why}: {names}."


def _reason(complaint: str) -> str:
    """GitHub's own words, when it refused all of them; of single objects the names are told anyway."""
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    said = [line for line in lines if line.startswith("batch response:")]
    return f" ({said[0].removeprefix('batch response:').strip()[:300]})" if said else ""


def _listed(names: Iterable[str]) -> str:
    known = list(names)
    more = f" and {len(known) - _SHOWN_NAMES} more" if len(known) > _SHOWN_NAMES else ""
    return ", ".join(known[:_SHOWN_NAMES]) + more
