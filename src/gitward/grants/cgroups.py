"""Memory limits that the kernel enforces: a cgroup for each sandbox and broker, version 1 (as root) or 2 (delegated).

A folder under /sys/fs/cgroup proves nothing: it can be a plain tmpfs, on which every write "works". So this module
checks the type of the file system, and reads a limit back.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gitward.grants import clock, processes

PREFIX = "gitward-"
_NAME = re.compile(
    PREFIX + r"(?P<pid>\d{1,10})-(?P<started>\d{1,20})-(?P<namespace>\d{1,20})-(?P<made>\d{1,12})-[0-9a-f]{8}"
)
_CGROUP_MAGIC = 0x27E0EB  # linux/magic.h
_CGROUP2_MAGIC = 0x63677270
_REMOVE_SECONDS = 2.0
_STALE_SECONDS = 7 * 24 * 3600  # of a group whose owner cannot be seen from here: longer than any sandbox lives

_libc = ctypes.CDLL(None, use_errno=True)


def filesystem_type(path: Path) -> int:
    """The `f_type` of statfs(2); 0 when it cannot be told."""
    buffer = ctypes.create_string_buffer(256)  # struct statfs has 120 bytes on 64-bit Linux; f_type is its first long
    if _libc.statfs(os.fsencode(path), buffer) != 0:
        return 0
    return int(ctypes.c_long.from_buffer(buffer).value)


@dataclass(frozen=True, kw_only=True)
class Controller:
    """A folder below which memory cgroups can be made, and the names of its version's files."""

    folder: Path
    version: int
    limit_file: str
    swap_file: str
    events_file: str

    def create(self, limit: int) -> Group:
        """A group with a limit. OSError when it cannot be made or the limit does not read back."""
        group = Group(controller=self, folder=self.folder / _new_name())
        group.folder.mkdir()
        try:
            (group.folder / self.limit_file).write_text(str(limit))
            with contextlib.suppress(OSError):  # no swap accounting on this kernel
                (group.folder / self.swap_file).write_text(str(limit if self.version == 1 else 0))
            page = os.sysconf("SC_PAGE_SIZE")
            if int((group.folder / self.limit_file).read_text()) // page != limit // page:
                raise OSError(errno.ENOTSUP, f"{group.folder} does not take a memory limit")
        except (OSError, ValueError):
            group.remove()
            raise
        return group

    def sweep(self, *, seconds: Callable[[], float] = clock.seconds) -> None:
        """Removes the empty groups of workers that died.

        :param seconds: since the machine was started.
        """
        for folder in self.folder.glob(f"{PREFIX}*"):
            if _has_no_owner(folder.name, now=seconds()):
                with contextlib.suppress(OSError):
                    folder.rmdir()


def _new_name() -> str:
    """Tells the owner, where its number means something, and when the group was made (seconds since boot).

    The number comes first: an older Gitward takes what is first for it, and sweeps the groups of the dead.
    """
    pid = os.getpid()
    return f"{PREFIX}{pid}-{processes.start_time(pid)}-{_namespace()}-{clock.seconds():.0f}-{secrets.token_hex(4)}"


def _namespace() -> str:
    """In which process numbers mean what they do here: containers may share a cgroup, and each has its own."""
    return os.readlink("/proc/self/ns/pid").strip("pid:[]")


def _has_no_owner(name: str, *, now: float) -> bool:
    """Of a group's name; of one of another form nobody knows."""
    found = _NAME.fullmatch(name)
    if found is None:
        return False
    if found["namespace"] == _namespace():
        return not _lives(int(found["pid"]), found["started"])
    return now - int(found["made"]) > _STALE_SECONDS


def _lives(pid: int, started: str) -> bool:
    if processes.is_alive(f"{pid} {started}"):
        return True
    try:
        os.kill(pid, 0)
    except PermissionError:  # another user's, which may be hidden (hidepid)
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return False  # another process has the number by now


@dataclass(frozen=True, kw_only=True)
class Group:
    """The memory cgroup of one sandbox, or of one broker."""

    controller: Controller
    folder: Path

    @property
    def entrance(self) -> str:
        """A process that writes "0" here is in."""
        return str(self.folder / "cgroup.procs")

    def kills(self) -> int:
        """How many processes the kernel has killed for passing the limit."""
        with contextlib.suppress(OSError):
            for line in (self.folder / self.controller.events_file).read_text().splitlines():
                name, _, count = line.partition(" ")
                if name == "oom_kill":
                    return int(count)
        return 0

    def remove(self, *, seconds: float = _REMOVE_SECONDS) -> None:
        """Removes the group. Blocks until its last process is reaped, for so long at most; then it raises OSError."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.folder.rmdir()
            except FileNotFoundError:
                return
            except OSError as error:
                if error.errno != errno.EBUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return


def find() -> Controller | None:
    """Where memory cgroups can be made by this process, tried out; None when nowhere."""
    for controller in _candidates():
        try:
            controller.create(64 * 1024 * 1024).remove()
            controller.sweep()
        except (OSError, ValueError):
            continue
        return controller
    return None


def _candidates() -> list[Controller]:
    found: list[Controller] = []
    memberships = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    for hierarchy, controllers, path in memberships:
        if "memory" in controllers.split(","):
            found += [_version_1(folder) for folder in _folders("cgroup", path, "memory")]
        if hierarchy == "0":
            for folder in _folders("cgroup2", path, ""):
                # In version 2 a group with processes has no groups with limits below it: the parent must do.
                found += [_version_2(place) for place in (folder, folder.parent) if _offers_memory(place)]
    return found


def _folders(kind: str, path: str, option: str) -> list[Path]:
    """Where a membership is seen in this mount namespace, and is what it claims to be."""
    magic = _CGROUP_MAGIC if kind == "cgroup" else _CGROUP2_MAGIC
    folders: list[Path] = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        fields, (found_kind, _, options) = before.split(), after.split()[:3]
        if found_kind != kind or (option and option not in options.split(",")):
            continue
        root, mounted = fields[3], Path(fields[4])
        relative = os.path.relpath(path, root)
        folder = mounted if relative == "." else mounted / relative
        if not relative.startswith("..") and filesystem_type(folder) == magic:
            folders.append(folder)
    return folders


def _offers_memory(folder: Path) -> bool:
    """Whether groups below this one get the memory controller; asks for it when they do not."""
    subtree = folder / "cgroup.subtree_control"
    with contextlib.suppress(OSError):
        if "memory" in subtree.read_text().split():
            return True
        subtree.write_text("+memory")
        return "memory" in subtree.read_text().split()
    return False


def _version_1(folder: Path) -> Controller:
    return Controller(
        folder=folder,
        version=1,
        limit_file="memory.limit_in_bytes",
        swap_file="memory.memsw.limit_in_bytes",
        events_file="memory.oom_control",
    )


def _version_2(folder: Path) -> Controller:
    return Controller(
        folder=folder,
        version=2,
        limit_file="memory.max",
        swap_file="memory.swap.max",
        events_file="memory.events",
    )
