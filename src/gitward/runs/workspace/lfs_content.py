"""Content for the LFS files of a fresh checkout: from the mirror's cache, else from the server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from gitward.errors import Reason, RunFailure
from gitward.repositories.git import CommandResult, GitFailed
from gitward.repositories.lfs import detection, objects, transfer, tree
from gitward.repositories.lfs.pointers import Pointer
from gitward.repositories.remote import Remote
from gitward.repositories.tree_entries import shown
from gitward.runs.commands.retrying import may_pass, run_with_retries
from gitward.runs.commands.runner import CommandRunner
from gitward.runs.context import Context
from gitward.runs.workspace.object_folders import lfs_folder
from gitward.runs.workspace.snapshot import fetching, source_of
from gitward.sandboxes import WORK_DIR, foreign_folders
from gitward.sessions.model import StepName

_TRANSFER = "transfer"  # below the fetching sandbox's `work`
_SHOWN_NAMES = 10
_MIB = 1024 * 1024

Wanted = Mapping[Pointer, Sequence[bytes]]  # objects, with the paths of their files


async def bring(context: Context, commands: CommandRunner) -> None:
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
            await tree.fill(commands, work, {pointer: wanted[pointer] for pointer in found})
    except GitFailed as failure:
        raise RunFailure(Reason.CLONE_FAILED, f"The LFS files could not be checked out: {failure}") from failure


async def _fits(context: Context, wanted: Wanted) -> bool:
    """Whether there is room for the objects and for the files, as far as the sandbox may use the disk."""
    needed = sum(pointer.size * (1 + len(paths)) for pointer, paths in wanted.items())
    if needed <= context.attempt.services.settings.limits.disk_bytes:
        return True
    await context.attempt.notice(
        f"The LFS files need {needed // _MIB} MiB of disk, more than GITWARD_DISK allows, so they are pointers; "
        "`git lfs pull --include` in the command fetches some of them."
    )
    return False


async def _lent_or_fetched(context: Context, commands: CommandRunner, wanted: Wanted) -> set[Pointer]:
    """The objects that lie in the run's storage afterwards."""
    mirrors, source = context.attempt.services.mirrors, source_of(context)
    storage = await asyncio.to_thread(lfs_folder, context.workspace)
    found = await mirrors.lend_lfs(source, wanted, storage)
    if len(found) == len(wanted):
        return found
    fetch = _Fetching(context, storage, set(wanted) - found)
    await run_with_retries(context.attempt, commands, StepName.CHECKOUT, fetch.once, failed=_failed)
    await mirrors.store_lfs(source, fetch.found, storage)
    if fetch.missing:
        await context.attempt.notice(_told(fetch, wanted))
    return found | fetch.found


class _Fetching:
    """Fetches what is missing, in a sandbox of its own; each try asks for what is left."""

    def __init__(self, context: Context, storage: Path, missing: set[Pointer]) -> None:
        self.missing = missing
        self.found: set[Pointer] = set()
        self.refusal = ""  # what git-lfs said about those that are missing for good
        self._context, self._storage = context, storage
        self._workspace = context.workspace / "lfs-fetch"

    async def once(self, _again: bool) -> CommandResult:
        ended = await self._fetch()
        arrived = await asyncio.to_thread(self._take_over)
        self.found |= arrived
        self.missing -= arrived
        if self.missing and ended.exit_code != 0 and may_pass(ended):
            return ended
        self.refusal = ended.complaint
        return CommandResult(exit_code=0)

    async def _fetch(self) -> CommandResult:
        """With an access that may only fetch, as mirrors have it: in login mode too there is no token inside."""
        context, attempt = self._context, self._context.attempt
        await asyncio.to_thread(self._clear)
        async with fetching(attempt, context.facts.repository, context.facts.repository_id) as grant:
            sandbox = await attempt.services.sandboxes.open(
                name=f"{attempt.run.id}-lfs",
                workspace=self._workspace,
                endpoint=grant,
                limits=attempt.services.settings.limits,
            )
            try:
                remote = Remote(url=context.url, credential=grant.credential)
                await asyncio.to_thread(transfer.prepare, self._workspace / "work" / _TRANSFER, remote, self.missing)
                commands = context.commands(sandbox, in_series=True)
                with commands.within(StepName.CHECKOUT):
                    return await transfer.fetch(commands, f"{WORK_DIR}/{_TRANSFER}")
            finally:
                await sandbox.close()

    def _clear(self) -> None:
        """What a lost worker left goes."""
        with contextlib.suppress(FileNotFoundError):
            foreign_folders.clear(self._workspace / "work")

    def _take_over(self) -> set[Pointer]:
        arrived = objects.take_over(
            self._workspace / "work" / _TRANSFER / transfer.STORAGE, self.missing, self._storage
        )
        self._clear()
        return arrived


def _failed(ended: CommandResult) -> RunFailure:
    return RunFailure(Reason.CLONE_FAILED, f"The LFS objects could not be fetched: {ended.tail}")


def _told(fetch: _Fetching, wanted: Wanted) -> str:
    names = _listed(sorted({shown(path) for pointer in fetch.missing for path in wanted[pointer]}))
    why = _reason(fetch.refusal)
    return f"These LFS files are pointers, because the server did not give their content{why}: {names}."


def _reason(complaint: str) -> str:
    """GitHub's own words, when it refused all of them; of single objects the names are told anyway."""
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    said = [line for line in lines if line.startswith("batch response:")]
    return f" ({said[0].removeprefix('batch response:').strip()[:300]})" if said else ""


def _listed(names: Iterable[str]) -> str:
    known = list(names)
    more = f" and {len(known) - _SHOWN_NAMES} more" if len(known) > _SHOWN_NAMES else ""
    return ", ".join(known[:_SHOWN_NAMES]) + more
