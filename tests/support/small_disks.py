"""Disks that are soon full, for a service under test: tmpfs of a few MiB, mounted by root, or in its own namespace."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

PIECE = 64 * 1024
# An ordinary user may mount in namespaces of its own, which a process keeps while others come and go; who enters them
# has no rights that it would not have outside.
_AS_USER = ("unshare", "--user", "--map-current-user", "--keep-caps", "--mount", "/bin/sh", "-c")
_ENTER = ("nsenter", "--target")
_ENTERED = ("--user", "--mount", "--preserve-credentials", "--wd=/")
_WITHOUT_RIGHTS = ("setpriv", "--ambient-caps=-all", "--inh-caps=-all", "--bounding-set=-all")


@contextlib.contextmanager
def mounted(disks: Mapping[Path, int | str]) -> Iterator[tuple[str, ...]]:
    """Disks at these folders: of so many MiB, or with these options of tmpfs.

    Yields what to put before the command line of who shall see them.
    """
    options = {place: f"size={size}m" if isinstance(size, int) else size for place, size in disks.items()}
    for folder in disks:
        folder.mkdir(parents=True, exist_ok=True)
        folder.parent.chmod(0o711)
    if os.geteuid() != 0:
        if not disks:
            yield ()
            return
        mounts = "; ".join(f"mount -t tmpfs -o {each},mode=0711 tmpfs '{place}'" for place, each in options.items())
        argv = (*_AS_USER, f"set -e; {mounts}; echo mounted; exec cat")  # until whoever started it has ended
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as keeper:
            try:
                assert keeper.stdout is not None
                assert keeper.stdout.readline() == b"mounted\n"
                yield (*_ENTER, str(keeper.pid), *_ENTERED, *_WITHOUT_RIGHTS)
            finally:
                keeper.kill()
        return
    with contextlib.ExitStack() as stack:
        for folder, each in options.items():
            _run("mount", "-t", "tmpfs", "-o", f"{each},mode=0711", "tmpfs", str(folder))
            stack.callback(_run, "umount", "--lazy", str(folder))
        yield ()


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, timeout=30)


def seen_by(pid: int, path: Path) -> Path:
    """The path as the process sees it."""
    return Path(f"/proc/{pid}/root") / path.relative_to("/")


def seen_behind(prefix: tuple[str, ...], path: Path) -> Path:
    """The path as whoever is started with the prefix sees it, started or not."""
    return seen_by(int(prefix[len(_ENTER)]), path) if prefix else path


def fill(disk: Path) -> Path:
    """Leaves no byte free; remove the file to make room again."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (PIECE, 4096, 512):
            with contextlib.suppress(_Full):
                while True:
                    _write(file.fileno(), size)
    return filler


class _Full(Exception):
    pass


def _write(file: int, size: int) -> None:
    try:
        os.write(file, b"x" * size)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise _Full from error


def fill_files(disk: Path) -> Path:
    """Leaves no room for another file; remove the folder to make some again."""
    folder = disk / "files"
    folder.mkdir()
    with contextlib.suppress(OSError):  # as soon as it is full
        for number in range(10**6):
            (folder / str(number)).touch()
    return folder


# mount(8) gives up its rights when an ordinary user starts it there.
_REMOUNT = """
import ctypes, os, sys
pid, place, flags = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
namespaces = [os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY) for name in ("user", "mnt")]
if any(libc.setns(each, 0) for each in namespaces) or libc.mount(b"none", place.encode(), None, int(flags), None):
    sys.exit(os.strerror(ctypes.get_errno()))
"""
_MS_RDONLY, _MS_REMOUNT = 1, 32


def remount(pid: int, disk: Path, mode: str) -> None:
    """Makes a disk that the process sees read-only ("ro") or writable again ("rw"); nobody may be writing there."""
    if os.geteuid() == 0:
        _run("mount", "-o", f"remount,{mode}", str(disk))
    else:
        flags = _MS_REMOUNT | (_MS_RDONLY if mode == "ro" else 0)
        _run(sys.executable, "-c", _REMOUNT, str(pid), str(disk), str(flags))
