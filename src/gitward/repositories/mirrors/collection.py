"""All mirrors of a data folder, as any process of its owner sees them. Everything here blocks."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from gitward.repositories.mirrors import lfs_cache
from gitward.repositories.mirrors.folder import NEW, REMOVED, MirrorFolder, remove
from gitward.repositories.mirrors.metadata import Metadata
from gitward.repositories.mirrors.source import MirrorDamaged, MirrorUnusable, is_key

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class StoredMirror:
    """A mirror that is there."""

    key: str
    meta: Metadata | None  # None: it is damaged
    lfs_bytes: int = 0

    @property
    def size(self) -> int:
        return self.lfs_bytes + (0 if self.meta is None else self.meta.size)

    @property
    def used_at(self) -> float:
        return 0.0 if self.meta is None else self.meta.used_at

    def is_of(self, full_name: str, server_url: str | None = None) -> bool:
        """Whether runs have used it under this name; of a damaged one nobody knows."""
        if self.meta is None or server_url not in {None, self.meta.server_url}:
            return False
        return full_name.casefold() in (name.casefold() for name in self.meta.names)


class MirrorCollection:
    """The folder that has the mirrors; nobody but the worker's user may look into it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def prepare(self) -> None:
        """Makes the folder, and removes what a killed process left half done."""
        self._root.mkdir(exist_ok=True)
        self._root.chmod(0o700)
        for path in self._root.iterdir():
            if path.name.startswith(REMOVED) or NEW in path.name:
                remove(path)

    def mirror(self, key: str) -> MirrorFolder:
        return MirrorFolder(self._root, key)

    def all(self) -> list[StoredMirror]:
        """Sorted by key."""
        if not self._root.exists():
            return []
        mirrors = sorted(path.name for path in self._root.iterdir() if is_key(path.name) and path.is_dir())
        return [
            StoredMirror(key=key, meta=self._meta(key), lfs_bytes=lfs_cache.size_of(self._root / key))
            for key in mirrors
        ]

    def _meta(self, key: str) -> Metadata | None:
        with contextlib.suppress(MirrorDamaged):
            return self.mirror(key).read()
        return None

    def evict(self, limit: int, in_use: Collection[str]) -> int:
        """Removes mirrors until what is left fits into so many bytes; returns what is left."""
        mirrors = self.all()
        total = sum(each.size for each in mirrors)
        for each in sorted(mirrors, key=lambda each: each.used_at):
            if total <= limit and each.meta is not None and limit > 0:
                break
            if each.key in in_use:
                continue
            try:
                self.mirror(each.key).drop()
            except (MirrorUnusable, OSError) as error:
                log.warning("The mirror %s could not be removed: %s", each.key, error)
            else:
                total -= each.size
        return total
