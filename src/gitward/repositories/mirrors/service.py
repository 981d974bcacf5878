"""The worker's mirrors: it refreshes a mirror once for all runs that ask at the same time."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from gitward.errors import GitwardError
from gitward.repositories import snapshot
from gitward.repositories.lfs.pointers import Pointer
from gitward.repositories.mirrors import lfs_cache
from gitward.repositories.mirrors.collection import MirrorCollection
from gitward.repositories.mirrors.fetch_faults import is_theirs
from gitward.repositories.mirrors.fetching import Base, Fetched, Fetcher, in_thread
from gitward.repositories.mirrors.folder import MirrorFolder
from gitward.repositories.mirrors.metadata import Metadata
from gitward.repositories.mirrors.shared_work import SharedWork, Turn
from gitward.repositories.mirrors.source import (
    FetchFailed,
    MirrorChanged,
    MirrorDamaged,
    MirrorUnusable,
    Source,
    Tell,
)
from gitward.repositories.refs import BadRefs, Refs, parse
from gitward.sandboxes import Limits, SandboxEngine, SandboxError
from gitward.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

WAIT_SECONDS = 600.0  # for a fetch that another caller began
TELL_SECONDS = 30.0
REMADE_SECONDS = 30 * 86400.0  # so that what was purged upstream does not stay here
MOST_PACKS = 40
KEPT_PACKS = 8  # the largest, which are not merged
_TRIES = 3
_TOO_LARGE_SECONDS = 86400.0  # that a repository is remembered to be too large
_KIB = 1024


class Mirrors:
    """All mirrors below a data folder; one worker has them, beside short commands of other processes."""

    def __init__(
        self, data: Path, sandboxes: SandboxEngine, *, limits: Limits, limit_bytes: int, metrics: Metrics
    ) -> None:
        """:param limit_bytes: of all mirrors together; 0: there are none."""
        self.shelf = MirrorCollection(data / "mirrors")
        self._making = data / "making"
        self._fetcher = Fetcher(sandboxes, self._making, limits)
        self._limit = limit_bytes
        self._metrics = metrics
        self._turns: SharedWork[str] = SharedWork()
        self._users: Counter[str] = Counter()
        self._too_large: dict[str, float] = {}  # by key, until when
        self._tidying: dict[str, asyncio.Task[None]] = {}
        self._one_at_a_time = asyncio.Semaphore(1)  # for what nobody waits for

    async def start(self) -> None:
        """Removes what a killed worker left half done, and what is beyond the limit."""
        await asyncio.to_thread(self.shelf.prepare)
        await asyncio.to_thread(_make_passable, self._making)
        await self._fetcher.wipe()
        await self._evict()

    async def stop(self) -> None:
        """Ends what is under way. Safe to call again."""
        tidying = tuple(self._tidying.values())
        for task in tidying:
            task.cancel()
        await self._turns.stop()
        if tidying:
            await asyncio.wait(tidying)

    async def take(self, source: Source, into: Path, tell: Tell, *, wait_seconds: float = WAIT_SECONDS) -> Refs:
        """Links all objects of the repository into a folder, as of a moment after this call; returns its refs.

        It comes from the mirror, which is made or brought up to date; where that cannot be used, from GitHub.

        :raises FetchFailed: GitHub, the network, the token, or a limit of the run's own sandbox is why.
        :raises SandboxError: there is no sandbox to fetch in.

        Whatever `source.open_grant` raises goes on to all who share the fetch.
        """
        if self._goes_directly(source):
            return await self.fetch_directly(source, into)
        try:
            with self._using(source.key):
                return await self._take(source, into, tell, wait_seconds)
        except (MirrorUnusable, SandboxError, OSError) as error:
            log.warning("The mirror of %s cannot be used: %s", source.full_name, error)
        await tell(f"The mirror of {source.full_name} cannot be used now; the run fetches all of it from GitHub.")
        return await self.fetch_directly(source, into)

    async def fetch_directly(self, source: Source, into: Path) -> Refs:
        """The same without a mirror: fetches the whole repository for one run.

        :raises FetchFailed, SandboxError: as `take`.
        """
        self._metrics.mirror_taken("direct")
        try:
            with self._metrics.fetching("direct"):
                async with self._fetcher.cloned(source) as fetched:
                    await in_thread(_place, fetched.packs, into)
                    return fetched.refs
        except (OSError, snapshot.BadPacks) as error:
            raise FetchFailed(f"the fetched objects could not be kept: {error}") from error

    async def forget(self, server_url: str, full_name: str) -> None:
        """Drops the mirrors of a name that is gone, or that the token may not read any more."""
        for mirror in await asyncio.to_thread(self.shelf.all):
            if mirror.is_of(full_name, server_url):
                await self._drop(mirror.key)

    async def distrust(self, source: Source) -> None:
        """Drops a mirror that git calls damaged; the next run makes a new one."""
        await self._distrust(source, None)

    async def _distrust(self, source: Source, generation: str | None) -> None:
        log.warning("The mirror of %s is damaged, and is removed", source.full_name)
        await self._drop(source.key, generation=generation)

    async def _drop(self, key: str, *, generation: str | None = None) -> None:
        try:
            await in_thread(self.shelf.mirror(key).drop, generation=generation)
        except (MirrorUnusable, OSError) as error:
            log.warning("The mirror %s could not be removed: %s", key, error)
        await self._evict()

    async def lend_lfs(self, source: Source, wanted: Iterable[Pointer], storage: Path) -> set[Pointer]:
        """Links the LFS objects that were fetched from the repository before into a storage; says which."""
        if self._limit <= 0:
            return set()
        try:
            return await in_thread(lfs_cache.lend, self.shelf.mirror(source.key), wanted, storage)
        except (MirrorUnusable, OSError) as error:
            log.warning("The LFS objects of %s's mirror cannot be used: %s", source.full_name, error)
            return set()

    async def store_lfs(self, source: Source, found: Collection[Pointer], storage: Path) -> None:
        """Keeps LFS objects with the mirror, if there is one; they were hashed, and came from this repository."""
        if self._limit <= 0 or not found:
            return
        mirror = self.shelf.mirror(source.key)
        try:
            meta = await in_thread(mirror.read)
            room = min(self._limit // 2, self._limit - meta.size) if meta is not None else 0
            with self._using(source.key):
                await in_thread(lfs_cache.store, mirror, found, storage, limit=room)
                await self._evict()
        except (MirrorUnusable, OSError) as error:
            log.warning("The LFS objects of %s could not be kept: %s", source.full_name, error)

    def _goes_directly(self, source: Source) -> bool:
        size = source.size_kib * _KIB
        return self._limit <= 0 or size > self._limit or self._too_large.get(source.key, 0) > time.monotonic()

    @contextmanager
    def _using(self, key: str) -> Iterator[None]:
        """In this block the mirror is not the one that goes to make room."""
        self._users[key] += 1
        try:
            yield
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key]

    async def _take(self, source: Source, into: Path, tell: Tell, wait_seconds: float) -> Refs:
        known = await asyncio.to_thread(self.shelf.mirror(source.key).path.exists)
        for _ in range(_TRIES):
            turn, is_first = self._turns.join(source.key, partial(self._bring_up_to_date, source))
            seconds = None if is_first else wait_seconds
            generation = await self._wait(turn, source, tell, seconds)
            mirror = self.shelf.mirror(source.key)
            try:
                meta, raw = await in_thread(mirror.link, into, generation=generation, name=source.full_name)
                refs = await asyncio.to_thread(parse, raw)
            except MirrorChanged:  # remade or removed since
                continue
            except (MirrorDamaged, BadRefs) as error:
                await self._distrust(source, generation)
                raise MirrorUnusable(str(error)) from error
            self._metrics.mirror_taken("hit" if known else "miss")
            self._tidy(source, meta)
            return refs
        raise MirrorUnusable("it changed again and again")

    async def _wait(self, turn: Turn[str], source: Source, tell: Tell, seconds: float | None) -> str:
        """The result of a turn. Whoever stops waiting does not end it."""
        began = time.monotonic()
        while True:
            elapsed = time.monotonic() - began
            left = TELL_SECONDS if seconds is None else min(TELL_SECONDS, seconds - elapsed)
            if left <= 0:
                raise MirrorUnusable(f"it is still being fetched after {elapsed:.0f} s")
            done, _ = await asyncio.wait({turn.task}, timeout=left)
            if done:
                return _result(turn)
            await tell(f"{source.full_name} is still being fetched ({time.monotonic() - began:.0f} s).")

    async def _bring_up_to_date(self, source: Source, turn: Turn[str]) -> str:
        """Makes or refreshes the mirror; returns its generation."""
        mirror = self.shelf.mirror(source.key)
        for _ in range(_TRIES):
            meta = None
            try:
                meta = await asyncio.to_thread(mirror.read)
                if meta is None:
                    return await self._make(source, mirror, turn)
                return await self._refresh(source, mirror, meta, turn)
            except MirrorChanged:  # somebody removed it
                continue
            except MirrorDamaged:
                await self._distrust(source, None if meta is None else meta.generation)
                raise
            except FetchFailed as error:
                if error.limit is None and is_theirs(error.tail):
                    raise
                if error.limit is None:
                    raise MirrorUnusable(f"git could not fetch it: {error.tail}") from error
                self._too_large[source.key] = time.monotonic() + _TOO_LARGE_SECONDS
                await self._drop(source.key)
                raise MirrorUnusable(f"fetching it reaches the limit of {error.limit}") from error
            except snapshot.BadPacks as error:
                raise MirrorUnusable(str(error)) from error
        raise MirrorUnusable("it is removed again and again")

    async def _make(
        self, source: Source, mirror: MirrorFolder, turn: Turn[str], *, instead_of: str | None = None
    ) -> str:
        await self._evict(room=source.size_kib * _KIB)
        now = time.time()
        with self._metrics.fetching("make"):
            async with self._fetcher.cloned(source, disk_bytes=self._limit, begins=turn.begins) as fetched:
                self._require_room(fetched)
                meta = Metadata(
                    generation=secrets.token_hex(8),
                    server_url=source.server_url,
                    repository_id=source.repository_id,
                    names=(source.full_name,),
                    made_at=now,
                    refreshed_at=now,
                    used_at=now,
                    files={},
                    oid_length=fetched.refs.oid_length,
                )
                await in_thread(mirror.create, meta, fetched.packs, fetched.refs, instead_of=instead_of)
        await self._evict()
        return meta.generation

    def _require_room(self, fetched: Fetched, *, there: int = 0) -> None:
        """A sandbox's disk limit is looked at now and then only."""
        if there + snapshot.size_of(fetched.packs) > self._limit:
            raise FetchFailed("it is larger than GITWARD_MIRROR_MB allows", limit="disk")

    async def _refresh(self, source: Source, mirror: MirrorFolder, meta: Metadata, turn: Turn[str]) -> str:
        show = partial(_shown, mirror, meta)
        room = max(1, self._limit - meta.size)
        with self._metrics.fetching("refresh"):
            async with self._fetcher.refreshed(source, show, disk_bytes=room, begins=turn.begins) as fetched:
                if fetched is None:
                    return meta.generation
                self._require_room(fetched, there=meta.size)
                await in_thread(mirror.extend, meta.generation, fetched.packs, fetched.refs)
        await self._evict()
        return meta.generation

    @property
    def is_tidying(self) -> bool:
        """Whether something goes on that no run waits for."""
        return bool(self._tidying)

    def _tidy(self, source: Source, meta: Metadata) -> None:
        """Begins to remake a mirror that is old, or to merge its packs when there are many; nobody waits for it."""
        old = time.time() - meta.made_at > REMADE_SECONDS
        if (not old and meta.packs <= MOST_PACKS) or source.key in self._tidying:
            return
        work = self._remake(source, meta) if old else self._merge(source, meta)
        task = asyncio.create_task(work, name=f"mirror {source.key}")
        self._tidying[source.key] = task
        task.add_done_callback(lambda _: self._tidying.pop(source.key, None))

    async def _remake(self, source: Source, meta: Metadata) -> None:
        mirror = self.shelf.mirror(source.key)
        async with self._one_at_a_time:
            with self._using(source.key):
                try:
                    await self._make(source, mirror, Turn(), instead_of=meta.generation)
                except (GitwardError, OSError, snapshot.BadPacks) as error:
                    log.warning("The mirror of %s could not be created afresh: %s", source.full_name, error)

    async def _merge(self, source: Source, meta: Metadata) -> None:
        mirror = self.shelf.mirror(source.key)
        packs = sorted((size, name) for name, size in meta.files.items() if name.endswith(".pack"))
        names = [name for _, name in packs[:-KEPT_PACKS]]
        stems = {name.removesuffix(".pack") for name in names}
        old = [name for name in meta.files if name.partition(".")[0] in stems]

        show = partial(_shown, mirror, meta)
        async with self._one_at_a_time:
            with self._using(source.key):
                try:
                    async with self._fetcher.merged(source.key, show, names) as merged:
                        await in_thread(mirror.exchange, meta.generation, old, merged)
                except (GitwardError, OSError, snapshot.BadPacks) as error:
                    log.warning("The packs of %s's mirror could not be merged: %s", source.full_name, error)

    async def make_room(self, size: int) -> None:
        """Removes mirrors that are not in use, the least recently used first, until so many bytes are free."""
        total = sum(each.size for each in await in_thread(self.shelf.all))
        await self._evict(room=max(0, self._limit - total) + size)

    async def _evict(self, *, room: int = 0) -> None:
        """Removes the least recently used mirrors that are beyond the limit, but none that is in use."""
        in_use = frozenset((*self._users, *self._turns.keys()))
        left = await in_thread(self.shelf.evict, max(0, self._limit - room), in_use)
        self._metrics.mirror_bytes(left)


def _result(turn: Turn[str]) -> str:
    """What a turn came to; any number of callers may ask."""
    if turn.task.cancelled():
        raise MirrorUnusable("the worker is stopping")
    try:
        return turn.task.result()
    except FetchFailed as error:
        raise FetchFailed(error.tail, limit=error.limit) from error


def _shown(mirror: MirrorFolder, meta: Metadata, into: Path) -> Base:
    _, packed_refs = mirror.link(into, generation=meta.generation)
    return Base(packed_refs=packed_refs, oid_length=meta.oid_length)


def _make_passable(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    folder.chmod(0o711)  # a sandbox's own user must get to its workspace


def _place(packs: int, into: Path) -> None:
    snapshot.take_over(packs, snapshot.prepare(into))
