"""What a sandbox is, for its users: values, two protocols, and one error."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol

from gitward.errors import GitwardError
from gitward.grants.endpoint import Endpoint
from gitward.grants.system_image import SystemImage

WORK_DIR = "/workspace"  # inside; `workspace/work` outside
HOME_DIR = "/home/gitward"  # inside; `workspace/home` outside

MIB = 1024 * 1024
GIB = 1024 * MIB


class SandboxError(GitwardError):
    """The engine failed, not the command. The text says how to mend it."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What all processes of one sandbox may use together."""

    memory_bytes: int = 4 * GIB  # anonymous memory and tmpfs
    processes: int = 512  # processes and threads of one command, with the three that the sandbox itself needs
    disk_bytes: int = 10 * GIB  # of `/workspace` and the home together
    file_bytes: int = 4 * GIB  # the longest file
    tmp_bytes: int = 1 * GIB  # of `/tmp`, and again of `/dev/shm`


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A folder of the host that a sandbox sees and cannot change, whoever owns what is in it.

    The folder itself is made readable for the sandbox's user when it opens; what lies in it must be readable by all.
    """

    host: Path
    inside: str  # an absolute path that nothing else of the sandbox has
    is_shared: bool = False  # other sandboxes see it at the same time: everybody may read it, and it is left as it is


class User(Protocol):
    """The user id of a sandbox, which another one may have after it. Nobody else has it until `release`."""

    def release(self) -> None:
        """Gives it back. Safe to call again."""
        ...


@dataclass(frozen=True, kw_only=True)
class Command:
    """One program to run inside."""

    argv: tuple[str, ...]  # run as is, never by a shell of ours; argv[0] is looked up on PATH
    env: Mapping[str, str] = field(default_factory=dict)  # added to the sandbox's own small environment
    cwd: str = WORK_DIR  # a path inside
    stdin: bytes = b""  # written, then closed
    source: AsyncIterable[bytes] | None = None  # in place of `stdin`: an input that stays open until this ends
    timeout_seconds: float  # then SIGTERM, and 2 s later SIGKILL
    makes_room: bool = False  # it only removes files: the disk limit, which may be passed already, does not end it
    in_image: bool = False  # sees the system of the sandbox's image, if there is one, in place of the host's
    last: bool = False  # no other is expected soon: nothing is made ready for one, and so holds no memory meanwhile
    in_series: bool = (
        False  # a program of the host's that runs no foreign code: it may run where one like it ran before
    )

    @property
    def has_input(self) -> bool:
        """Else its standard input is empty from the start."""
        return bool(self.stdin) or self.source is not None


@dataclass(frozen=True, kw_only=True)
class Completed:
    """How a command ended. No process of it is left."""

    exit_code: int  # 128 + n when signal n ended it; 127 (126: it is no program) when it could not be started
    timed_out: bool
    cancelled: bool  # `close` ended it
    seconds: float
    limit: str | None  # "memory" or "disk" when a guard of ours ended it


class Stream(StrEnum):
    """Where output was written."""

    STDOUT = "stdout"
    STDERR = "stderr"


OnOutput = Callable[[Stream, bytes], Awaitable[None]]  # awaited: back pressure reaches the command


@dataclass(frozen=True, kw_only=True)
class Guard:
    """Whether one limit holds on this machine."""

    name: str  # "memory"
    holds: Literal["hard", "watchdog", "none"]
    how: str  # what enforces it
    remedy: str  # what the operator can do for a better guard; empty when it is hard


class Sandbox(Protocol):
    """An open sandbox: one workspace, one endpoint, any number of commands."""

    async def run(self, command: Command, on_output: OnOutput | None = None) -> Completed:
        """Runs the command to its end. Cancelling ends every process of it before CancelledError goes on.

        Output arrives in pieces of at most 64 KiB, in order within each stream. `source` is asked for its next piece
        when the command has taken the last one, not before the command has started, and not after its end.
        """
        ...

    async def read(self, path: str, *, limit: int) -> bytes:
        """A file of the sandbox, read inside it. SandboxError when it is missing or longer than `limit`."""
        ...

    async def write(self, path: str, data: bytes, *, mode: int = 0o600) -> None:
        """Writes a file of the sandbox, from inside it; makes its folders."""
        ...

    def share_user(self) -> User:
        """Its user, for a sandbox that is opened when this one is closed and works on files of this one."""
        ...

    async def close(self) -> None:
        """Ends every process of it, waits for them and detaches. Safe to call again."""
        ...


class SandboxEngine(Protocol):
    """Opens sandboxes."""

    async def start(self) -> None:
        """Makes the engine ready. SandboxError, with the remedy, when this machine cannot hold a sandbox."""
        ...

    async def stop(self) -> None:
        """Closes every sandbox and ends every process of the engine. Safe to call again."""
        ...

    async def open(
        self,
        *,
        name: str,
        workspace: Path,
        endpoint: Endpoint,
        limits: Limits,
        shown: Sequence[Shown] = (),
        user: User | None = None,
        work_dir: str = WORK_DIR,
        image: SystemImage | None = None,
    ) -> Sandbox:
        """Opens a sandbox over a folder of the host.

        `name` is the run id. `workspace` is made when missing and kept after close: its `work` is
        `/workspace`, its `home`, emptied by this call, is `/home/gitward`. Processes that an earlier sandbox,
        of whatever worker on this machine, still has on the workspace are ended first. `user` is what another
        sandbox shared; without one a free user id is taken. `work_dir` is where `work` is seen, if not at `/workspace`.
        `image` is for commands that ask for it; while the sandbox is open it cannot be removed.
        """
        ...
