"""How much disk a sandbox uses: named files, open files without a name, and files that neither search finds.

A file that is only mapped, or on its way through a socket, is in no folder and in no table of open files, and its size
cannot be asked. So this module asks the file system how much space it lost: if that exceeds the limit, less what other
sandboxes account for, and this sandbox holds files that cannot be counted, it has exceeded its limit. A sandbox that
holds none is never ended for what others write.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from gitward.sandboxes import foreign_folders
from gitward.sandboxes.disk_ledger import Entry
from gitward.sandboxes.hidden_files import holds_hidden_files
from gitward.sandboxes.processes_inside import Unnamed

_SLICE_SECONDS = 0.02  # the longest that a walk keeps the supervisor from its other duties
_REST_SECONDS = 1.0  # between two walks, at least
_REST_RATIO = 10  # a walk takes at most a tenth of the time
_HURRY = 16  # but begins at once when the file system has lost this part of the limit since the last
_HIDDEN_SECONDS = 0.5  # between two looks at what is hidden
_PATIENCE_SECONDS = 3.0  # for which it must stay so: the others' figures lag behind what they write


class DiskWatch:
    """Compares what lies in `paths`, and what the processes below `init` hold, with a limit."""

    def __init__(self, limit: int, paths: tuple[str, ...], init: int, entry: Entry) -> None:
        self._limit = limit
        self._paths = paths
        self._init = init
        self._entry = entry
        self._walk: Iterator[int] | None = None
        self._walk_started = 0.0
        self._walk_again = time.monotonic()
        self._use = 0  # of the walk that goes on
        self._named: int | None = None  # of the last whole walk
        self._named_first = 0
        self._free_when_walked = 0
        self._free_at_start = _free_space(paths)
        self._others_at_start = entry.others()
        self._hidden_again = 0.0
        self._hidden_since: float | None = None

    def passed(self, unnamed: Unnamed) -> bool:
        """Whether the limit is passed."""
        without_name = sum(unnamed.disk.values())
        if without_name > self._limit or self._named_passed(self._limit - without_name):
            return True
        if self._named is not None:
            self._entry.tell(self._named - self._named_first + without_name)
        return self._hidden_passed(unnamed)

    def _named_passed(self, limit: int) -> bool:
        """Goes on with the walk over the paths for a moment."""
        now = time.monotonic()
        if self._walk is None:
            free = _free_space(self._paths)
            if now < self._walk_again and free > self._free_when_walked - limit // _HURRY:
                return False
            self._walk, self._walk_started, self._use = self._all_use(), now, 0
            self._free_when_walked = free
        try:
            for size in self._walk:
                self._use += size
                if self._use > limit:
                    return True
                if time.monotonic() - now > _SLICE_SECONDS:
                    return False
            self._walked()
        except OSError:  # made unreadable, or gone altogether: begin again
            pass
        self._walk = None
        now = time.monotonic()
        self._walk_again = now + max(_REST_SECONDS, (now - self._walk_started) * _REST_RATIO)
        return False

    def _walked(self) -> None:
        if self._named is None:
            # The command writes while it is counted first. All that the disk lost meanwhile may be that, so it is taken
            # for this sandbox's: else another one would have to answer for it.
            lost = max(0, self._free_at_start - _free_space(self._paths))
            self._named_first = max(0, self._use - lost)
        self._named = self._use

    def _all_use(self) -> Iterator[int]:
        for path in self._paths:
            yield from foreign_folders.usage(Path(path))

    def _hidden_passed(self, unnamed: Unnamed) -> bool:
        now = time.monotonic()
        if now < self._hidden_again:
            return False
        self._hidden_again = now + _HIDDEN_SECONDS
        lost = self._free_at_start - _free_space(self._paths)
        if lost > self._limit:
            lost -= self._entry.others() - self._others_at_start
        if lost <= self._limit or not holds_hidden_files(self._init, unnamed):
            self._hidden_since = None
            return False
        if self._hidden_since is None:
            self._hidden_since = now
        return now - self._hidden_since > _PATIENCE_SECONDS


def _free_space(paths: tuple[str, ...]) -> int:
    figures = os.statvfs(paths[0])
    return figures.f_bavail * figures.f_frsize
