"""Copies a foreign tree into a folder of ours, and computes the digest of what was copied.

Nothing is followed out of the tree: every folder is entered by its descriptor, links are copied as links. What arrives
are regular files that nobody can write, folders and links; no owner, no set-user-ID, no device, no extended attribute.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gitward.environments.store import Unusable

_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PIECE = 1024 * 1024
_DEPTH = 200
_SHOWN = 5
MOST_FILES = 2_000_000

Wanted = Callable[[str, os.stat_result], bool]  # by its path in the tree: "etc/shadow"


@dataclass
class Copied:
    """What arrived so far."""

    limit_bytes: int
    size: int = 0  # bytes
    files: int = 0
    left_out: list[str] = field(default_factory=list)  # the first few
    left_out_count: int = 0
    _lines: list[bytes] = field(default_factory=list)
    linked: dict[tuple[int, int], tuple[str, str]] = field(default_factory=dict)  # of files with links: place, content

    def digest(self, *more: bytes) -> str:
        """Of all content: names, kinds, whether a file can be executed, and `more`."""
        whole = hashlib.sha256()
        for line in (*sorted(self._lines), *more):
            whole.update(b"%d " % len(line) + line)
        return whole.hexdigest()

    def leave_out(self, path: str, why: str) -> None:
        self.left_out_count += 1
        if len(self.left_out) < _SHOWN:
            self.left_out.append(f"{_plain(path)} ({why})")

    def count(self, size: int = 0) -> None:
        self.size += size
        if self.size > self.limit_bytes:
            raise Unusable(
                f"The image is larger than {self.limit_bytes // 1024**2} MiB, which is the limit; it is set by "
                "GITWARD_ENVIRONMENT_MB."
            )

    def note(self, kind: bytes, path: str, content: str) -> None:
        self.files += 1
        if self.files > MOST_FILES:
            raise Unusable(f"The image has more than {MOST_FILES:,} files, which is the limit.")
        self._lines.append(b"\0".join((kind, os.fsencode(path), os.fsencode(content))))


def copy(source: Path, target: Path, path: str, copied: Copied, wanted: Wanted) -> None:
    """Copies the folder at `path` of the tree `source` to the same place of `target`. Blocks. Raises Unusable, OSError.

    Every folder on the way must be one, not a link.
    """
    here, there = os.open(source, _OPEN_FOLDER), os.open(target, _OPEN_FOLDER)
    try:
        for name in path.split("/")[:-1]:
            here, there = _down(here, name), _made(there, name)
        _Copy(target, copied, wanted).folder(here, there, path.rsplit("/", 1)[-1], path, 0)
    finally:
        os.close(here)
        os.close(there)


def _down(folder: int, name: str) -> int:
    """Takes `folder` over, if there is such a folder in it."""
    below = os.open(name, _OPEN_FOLDER, dir_fd=folder)
    os.close(folder)
    return below


def _made(folder: int, name: str) -> int:
    """The same, for a folder that may be missing yet."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o755, dir_fd=folder)
    below = _down(folder, name)
    os.fchmod(below, 0o755)  # whatever the umask
    return below


@dataclass(frozen=True)
class _Copy:
    target: Path
    copied: Copied
    wanted: Wanted

    def folder(self, here: int, there: int, name: str, path: str, depth: int) -> None:
        if depth > _DEPTH:
            raise Unusable(f"The image has folders more than {_DEPTH} deep.")
        try:
            inner = os.open(name, _OPEN_FOLDER, dir_fd=here)
        except PermissionError:
            self.copied.leave_out(path, "cannot be read")
            return
        try:
            os.mkdir(name, 0o755, dir_fd=there)
            outer = os.open(name, _OPEN_FOLDER, dir_fd=there)
            try:
                self.copied.note(b"d", path, "")
                for each in sorted(os.listdir(inner)):
                    self._entry(inner, outer, each, f"{path}/{each}", depth)
                os.fchmod(outer, 0o755)
            finally:
                os.close(outer)
        finally:
            os.close(inner)

    def _entry(self, here: int, there: int, name: str, path: str, depth: int) -> None:
        status = os.stat(name, dir_fd=here, follow_symlinks=False)
        if not self.wanted(path, status):
            return
        if stat.S_ISDIR(status.st_mode):
            self.folder(here, there, name, path, depth + 1)
        elif stat.S_ISLNK(status.st_mode):
            to = os.readlink(name, dir_fd=here)
            os.symlink(to, name, dir_fd=there)
            self.copied.note(b"l", path, to)
        elif stat.S_ISREG(status.st_mode):
            self._file(here, there, name, path)
        else:
            self.copied.leave_out(path, "no file, folder or link")

    def _file(self, here: int, there: int, name: str, path: str) -> None:
        try:
            source = os.open(name, _OPEN_FILE, dir_fd=here)
        except PermissionError:
            self.copied.leave_out(path, "cannot be read")
            return
        try:
            status = os.fstat(source)
            if not stat.S_ISREG(status.st_mode):
                self.copied.leave_out(path, "changed while it was copied")
                return
            if status.st_nlink > 1 and not status.st_mode & stat.S_IROTH:
                # Whoever may write to the folder may link a file into it that he could not read.
                self.copied.leave_out(path, "a hard link to a file that others may not read")
                return
            kind = b"x" if status.st_mode & 0o111 else b"f"
            identity = (status.st_dev, status.st_ino)
            if identity in self.copied.linked:
                first, content = self.copied.linked[identity]
                os.link(self.target / first, name, dst_dir_fd=there, follow_symlinks=False)
            else:
                content = self._content(source, there, name, status)
                if status.st_nlink > 1:
                    self.copied.linked[identity] = (path, content)
            self.copied.note(kind, path, content)
        finally:
            os.close(source)

    def _content(self, source: int, there: int, name: str, status: os.stat_result) -> str:
        whole = hashlib.sha256()
        target = os.open(name, _CREATE, 0o600, dir_fd=there)
        try:
            while piece := os.read(source, _PIECE):
                self.copied.count(len(piece))
                whole.update(piece)
                view = memoryview(piece)
                while view:
                    view = view[os.write(target, view) :]
            os.fchmod(target, 0o555 if status.st_mode & 0o111 else 0o444)
            os.utime(target, ns=(status.st_mtime_ns, status.st_mtime_ns))  # Python compares it with its compiled files
        finally:
            os.close(target)
        return whole.hexdigest()


def _plain(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)[:120]
