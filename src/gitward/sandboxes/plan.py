"""Bubblewrap's options as data, built from a sandbox's folders, limits and walls."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from gitward.grants.system_image import SystemImage
from gitward.sandboxes.protocol import HOME_DIR, MIB, WORK_DIR, Limits, Shown
from gitward.sandboxes.walls import ALL_WALLS, Wall

USER = "gitward"  # inside
UID = 1000  # inside
HOST_NAME = "sandbox"
CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
IMAGE_ROOTS = "image-roots.crt"  # beside `hosts` in a sandbox's /etc: the authorities for programs of an image
CA_VARIABLES = (
    "SSL_CERT_FILE",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "CURL_CA_BUNDLE",
)
SEARCH_PATH = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin")
_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")  # links into /usr on a merged system
_RUN_BYTES = 16 * MIB


def tool_folders(tool_paths: Iterable[Path]) -> list[str]:
    """Where the programs of these folders are: in `bin`, as in any prefix, else in the folder itself."""
    return [str(path / "bin" if (path / "bin").is_dir() else path) for path in tool_paths]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """An open sandbox, as bubblewrap has to make it for each command."""

    work: Path  # host folder of `work_dir`
    work_dir: str = WORK_DIR  # inside
    home: Path  # host folder of the home
    etc: Path  # host folder of /etc
    etc_bound: tuple[Path, ...] = ()  # host folders below /etc, seen at their own names
    limits: Limits
    tool_paths: tuple[Path, ...] = ()
    shown: tuple[Shown, ...] = ()
    proxy: Mapping[str, str] = field(default_factory=dict)  # variables that lead tools to the proxy, if there is one
    image: SystemImage | None = None  # for the commands that ask for it
    walls: frozenset[Wall] = field(default=ALL_WALLS)

    def of_host(self) -> Plan:
        """For commands that see the host's system."""
        return replace(self, image=None)

    def environment(self) -> dict[str, str]:
        """The variables that every command has."""
        given = {} if self.image is None else dict(self.image.variables)
        places = [*tool_folders(self.tool_paths), *filter(None, given.get("PATH", "").split(":")), *SEARCH_PATH]
        own = {
            "HOME": HOME_DIR,
            "PATH": ":".join(dict.fromkeys(places)),
            "LANG": given.get("LANG", "C.UTF-8"),
            "TERM": "dumb",
            "USER": USER,
            "LOGNAME": USER,
            "SHELL": "/bin/bash",
        }
        return given | own | dict.fromkeys(CA_VARIABLES, CA_BUNDLE) | dict(self.proxy)

    def options(self) -> tuple[str, ...]:
        """Bubblewrap's options, for `--args`: the same for all commands of a sandbox that see the same system."""
        return (
            *self._namespaces(),
            *(self._system() if self.image is None else self._image(self.image)),
            *self._devices(),
            *self._own_folders(),
            *self._sealing(),
            *self._variables(),
            *("--chdir", "/"),
        )

    def _has(self, wall: Wall) -> bool:
        return wall in self.walls

    def _namespaces(self) -> Iterator[str]:
        yield from ("--unshare-user", "--uid", str(UID), "--gid", str(UID))
        if self._has(Wall.USER_NAMESPACES_CLOSED):
            yield "--disable-userns"
        if self._has(Wall.PROCESSES_HIDDEN):
            yield "--unshare-pid"
        if self._has(Wall.IPC):
            yield "--unshare-ipc"
        if self._has(Wall.HOST_NAME):
            yield from ("--unshare-uts", "--hostname", HOST_NAME)
        if self._has(Wall.CGROUP_HIDDEN):
            yield "--unshare-cgroup-try"
        if self._has(Wall.OWN_SESSION):
            yield "--new-session"
        if self._has(Wall.FOLLOWS_PARENT):
            yield "--die-with-parent"
        if self._has(Wall.NO_CAPABILITIES):
            yield from ("--cap-drop", "ALL")
        else:
            yield from ("--cap-add", "ALL")

    def _bind(self, source: Path | str, target: Path | str) -> tuple[str, str, str]:
        return ("--ro-bind" if self._has(Wall.SYSTEM_READ_ONLY) else "--bind", str(source), str(target))

    def _system(self) -> Iterator[str]:
        """The host's system folders, and an /etc of our own."""
        yield from self._bind("/usr", "/usr")
        for name in _MERGED:
            if os.path.islink(f"/{name}"):
                yield from ("--symlink", os.readlink(f"/{name}"), f"/{name}")
            elif os.path.isdir(f"/{name}"):
                yield from self._bind(f"/{name}", f"/{name}")
        yield from self._bind(self.etc, "/etc")
        for path in self.etc_bound:
            yield from self._bind(path, path)
        yield from self._host_files()

    def _image(self, image: SystemImage) -> Iterator[str]:
        """An image's system folders, and its /etc with what is this sandbox's own."""
        for name in image.folders:
            yield from self._bind(image.root / name, f"/{name}")
        for name, target in image.links.items():
            yield from ("--symlink", target, f"/{name}")
        yield from self._bind(image.root / "etc", "/etc")
        yield from self._bind(self.etc / "hosts", "/etc/hosts")
        yield from self._bind(self.etc / IMAGE_ROOTS, CA_BUNDLE)
        yield from self._host_files()

    def _host_files(self) -> Iterator[str]:
        if not self._has(Wall.HOST_FILES_HIDDEN):
            yield from ("--ro-bind", "/", "/host")

    def _devices(self) -> Iterator[str]:
        if self._has(Wall.PROCESSES_HIDDEN):
            yield from ("--proc", "/proc")
        else:
            yield from ("--bind", "/proc", "/proc")  # a new one is refused without a process namespace
        if self._has(Wall.PROCESSES_HIDDEN) and self._has(Wall.FIRST_PROCESS_HIDDEN):
            yield from ("--perms", "0555", "--size", "4096", "--tmpfs", "/proc/1", "--remount-ro", "/proc/1")
        yield from ("--dev", "/dev")
        yield from ("--dir", "/var", "--symlink", "/tmp", "/var/tmp")  # noqa: S108  # inside
        yield from self._tmpfs("/tmp", 0o1777, self.limits.tmp_bytes)  # noqa: S108  # inside
        yield from self._tmpfs("/dev/shm", 0o1777, self.limits.tmp_bytes)  # noqa: S108  # inside
        yield from self._tmpfs("/run", 0o755, min(_RUN_BYTES, self.limits.tmp_bytes))

    def _tmpfs(self, target: str, mode: int, size: int) -> Iterator[str]:
        yield from ("--perms", f"{mode:04o}")
        if self._has(Wall.TMPFS_SIZES):
            yield from ("--size", str(size))
        yield from ("--tmpfs", target)

    def _own_folders(self) -> Iterator[str]:
        """After the tmpfs, which would hide what lies below them."""
        for path in self.tool_paths:
            yield from self._bind(path, path)
        yield from ("--bind", str(self.work), self.work_dir)
        yield from ("--bind", str(self.home), HOME_DIR)
        for folder in self.shown:
            yield from self._bind(folder.host, folder.inside)

    def _sealing(self) -> Iterator[str]:
        if self._has(Wall.ROOT_READ_ONLY):
            yield from ("--remount-ro", "/dev", "--remount-ro", "/")

    def _variables(self) -> Iterator[str]:
        if self._has(Wall.ENVIRONMENT_EMPTY):
            yield "--clearenv"
        for name, value in self.environment().items():
            yield from ("--setenv", name, value)

    def rlimits(self) -> tuple[tuple[str, int], ...]:
        """Limits that the kernel holds for each process, and for the processes of one user namespace together."""
        held = {
            Wall.PROCESS_LIMIT: ("NPROC", self.limits.processes),
            Wall.FILE_SIZE_LIMIT: ("FSIZE", self.limits.file_bytes),
            Wall.OPEN_FILES_LIMIT: ("NOFILE", 8192),
            Wall.NO_CORE_FILES: ("CORE", 0),
        }
        return tuple(limit for wall, limit in held.items() if self._has(wall))
