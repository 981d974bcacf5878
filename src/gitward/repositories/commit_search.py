"""Finds the commits of the command's repository that are its own, and takes them into the result."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gitward.repositories import result
from gitward.repositories.git import GitFailed
from gitward.repositories.result import Result
from gitward.repositories.start_point import StartPoint

MOST = 20_000  # commits that are looked for; of more, the last ones
_MOST_TRIES = 100  # of fetches, when some of the commits are damaged
_ONE_BY_ONE = 8  # so many are asked about each for itself, which costs less than to list all that is new


@dataclass(kw_only=True)
class CommitSearch:
    """Looks in one repository of the command's."""

    res: Result
    place: Path  # of the result, outside
    stores: Sequence[str]  # where the command's objects are, inside
    start: StartPoint
    known: frozenset[str]  # what is upstream, or was fetched by the command
    fetched: frozenset[str]  # of these, what the snapshot may not have
    there: set[str] = field(default_factory=set)  # what was asked for and is in the snapshot
    _tries: int = 0

    async def fetch(self, oids: Iterable[str]) -> dict[str, str]:
        """Takes what the snapshot does not have into the result; what cannot be taken, each with what git says."""
        wanted = list(dict.fromkeys(oids))
        missing = dict.fromkeys(wanted[:-MOST], f"there are more than {MOST} of them")
        wanted = wanted[-MOST:]
        if not wanted:
            return missing
        found = await self.res.resolve(*wanted)
        self.there |= {oid for oid, each in zip(wanted, found, strict=True) if each is not None}
        return missing | await self._take([oid for oid in wanted if oid not in self.there])

    async def _take(self, oids: Sequence[str]) -> dict[str, str]:
        """All at once; when git finds a fault, each half for itself."""
        if not oids:
            return {}
        self._tries += 1
        await asyncio.to_thread(result.offer, self.place, oids, stores=self.stores)
        try:
            await self.res.fetch()
        except GitFailed as failure:
            if len(oids) == 1 or self._tries >= _MOST_TRIES:
                return dict.fromkeys(oids, str(failure))
        else:
            return {}
        half = len(oids) // 2
        return await self._take(oids[:half]) | await self._take(oids[half:])

    async def is_new(self, oid: str) -> bool:
        """Whether it is a commit that nothing upstream reaches. What the snapshot lacks, no ref of it reaches."""
        return await self.res.commits_beyond(oid, sorted(self._upstream_of(oid)))

    async def new_among(self, oids: Iterable[str], beside: Iterable[str] = ()) -> dict[str, str]:
        """Those that nothing upstream, and none of `beside`, reaches; each with its commit, if it is a tag of one."""
        wanted = list(dict.fromkeys(oids))
        peeled = await self.res.resolve(*(f"{oid}^{{commit}}" for oid in wanted)) if wanted else ()
        commits = {oid: found[0] for oid, found in zip(wanted, peeled, strict=True) if found is not None}
        new: dict[str, str] = {}
        for in_snapshot in (True, False):
            group = {oid: commit for oid, commit in commits.items() if (oid in self.there) == in_snapshot}
            if group:
                known = self._upstream_of(next(iter(group))) | set(beside)
                new |= await self._new_of(group, sorted(known))
        return new

    async def _new_of(self, group: dict[str, str], known: Sequence[str]) -> dict[str, str]:
        if len(group) <= _ONE_BY_ONE:
            return {oid: commit for oid, commit in group.items() if await self.res.commits_beyond(commit, known)}
        listed = await self.res.new_commits(list(group.values()), known)
        return {oid: commit for oid, commit in group.items() if commit in listed}

    def _upstream_of(self, oid: str) -> frozenset[str]:
        return self.known if oid in self.there else self.fetched | {self.start.sha, self.start.target_sha}
