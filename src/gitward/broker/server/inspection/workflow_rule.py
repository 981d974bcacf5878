"""The rule that a push leaves .github/workflows/ unchanged: decided by object ids, never by content.

The folder must be as upstream has it: on the target branch, now or when the run began, or on the session's branch.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gitward.broker.policy.verdict import Verdict, allow, deny
from gitward.broker.server.forwarder import UpstreamFailed
from gitward.broker.server.inspection.upstream_trees import UpstreamTrees
from gitward.grants.grant import Grant
from gitward.grants.inspection import FOLDER, WORKFLOWS, BadPack, Entries, Entry, Findings

RULE = "git.push.workflows"
MESSAGE = "this session may not change .github/workflows/{files}; a session with allow_workflows=true may"
_NAMED = 3  # files that the message names
_LONGEST = 60  # characters of one name
_STRANGE = re.compile(r"[^A-Za-z0-9._-]")

Read = Callable[[str], Awaitable[Entries]]


@dataclass(frozen=True, kw_only=True)
class Place:
    """What stands where GitHub looks for workflows; of a `.github` that is no folder, that."""

    path: str
    entry: Entry


class WorkflowRule:
    """One run's."""

    def __init__(self, grant: Grant, trees: UpstreamTrees) -> None:
        self._grant = grant
        self._trees = trees

    async def prepare(self) -> None:
        """Asks GitHub what every push of the run has to know; what fails here, fails again in `check`."""
        with contextlib.suppress(BadPack, UpstreamFailed):
            await self._at_start()

    async def check(self, tip: str, findings: Findings) -> Verdict:
        """Of a push of the commit `tip`. Raises BadPack and UpstreamFailed."""

        async def read(oid: str) -> Entries:
            return findings.trees[oid] if oid in findings.trees else await self._trees.entries(oid)

        pushed = await _place(findings.tree or tip, read)
        upstream = await self._at_start()
        if pushed in upstream:
            return allow(RULE)
        upstream += await self._now()
        if pushed in upstream or (not upstream and pushed is None):  # the second: the repository is empty
            return allow(RULE)
        before = upstream[0] if upstream else None
        return deny(RULE, MESSAGE.format(files=await _files(pushed, before, read)))

    async def _at_start(self) -> list[Place | None]:
        """At most one."""
        sha = self._grant.target_sha
        return [] if sha is None else [await _place(sha, self._trees.entries)]

    async def _now(self) -> list[Place | None]:
        """Of target branch and session branch, as far as they exist."""
        branches = [self._grant.push_ref.removeprefix("refs/heads/")]
        if self._grant.target_branch is not None:
            branches.insert(0, self._grant.target_branch)
        heads = await asyncio.gather(*map(self._trees.head, branches))
        return [await _place(head, self._trees.entries) for head in heads if head is not None]


async def _place(tree: str, read: Read) -> Place | None:
    """In a folder, or in a commit."""
    top = (await read(tree)).get(FOLDER)
    if top is None:
        return None
    if not top.is_folder:
        return Place(path=FOLDER, entry=top)
    inner = (await read(top.oid)).get(WORKFLOWS)
    return None if inner is None else Place(path=f"{FOLDER}/{WORKFLOWS}", entry=inner)


async def _files(pushed: Place | None, before: Place | None, read: Read) -> str:
    """The files that differ, for a person; nothing when they cannot be known."""
    try:
        new, old = await _listing(pushed, read), await _listing(before, read)
    except (BadPack, UpstreamFailed):
        return ""
    names = sorted(name for name in new.keys() | old.keys() if new.get(name) != old.get(name))
    if not names:
        return ""
    shown = ", ".join(_STRANGE.sub("?", name)[:_LONGEST] for name in names[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f" ({shown}{more})"


async def _listing(place: Place | None, read: Read) -> Entries:
    return await read(place.entry.oid) if place is not None and place.entry.is_folder else {}
