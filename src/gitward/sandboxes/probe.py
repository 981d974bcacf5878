"""Tests whether this machine can run a sandbox, and which of its limits the kernel enforces."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from gitward.grants.cgroups import Controller
from gitward.grants.endpoint import Address
from gitward.sandboxes import memory_usage
from gitward.sandboxes.protocol import Command, Guard, Limits, SandboxEngine, SandboxError
from gitward.sandboxes.uids import RUN_FOLDER

_TRIAL_SECONDS = 20.0
_IN_MEMORY = "/dev/shm"  # noqa: S108 -- its folder is made by mkdtemp
_PROCESS_LIMITS_SINCE = (5, 14)  # RLIMIT_NPROC is counted for each user namespace (commit 21d1c5e386bc)


class NoEndpoint:
    """An endpoint that reaches nothing."""

    addresses: tuple[Address, ...] = ()
    proxy_port = None
    ca_pem = b""

    async def attach(self, listeners: Sequence[socket.socket]) -> str:
        raise ValueError(f"there is nothing that {len(listeners)} listeners could be attached to")

    async def detach(self, name: str) -> None:
        """Nothing is attached."""


async def try_out(engine: SandboxEngine) -> None:
    """Runs one command in a sandbox. SandboxError, with the remedy, when that does not work."""
    with _folder() as folder:
        sandbox = await engine.open(name="trial", workspace=folder / "trial", endpoint=NoEndpoint(), limits=Limits())
        try:
            completed = await sandbox.run(Command(argv=("true",), timeout_seconds=_TRIAL_SECONDS, last=True))
        finally:
            await sandbox.close()
    if completed.exit_code != 0:
        raise SandboxError(f"a trial of the sandbox ended with exit code {completed.exit_code}")


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A temporary folder that a sandbox's user can pass through."""
    folder = _made()
    try:
        folder.chmod(0o711)
        yield folder
    finally:
        shutil.rmtree(folder)


def _made() -> Path:
    if os.geteuid() == 0:
        RUN_FOLDER.mkdir(parents=True, exist_ok=True)
        RUN_FOLDER.chmod(0o711)
        return Path(tempfile.mkdtemp(prefix="trial-", dir=RUN_FOLDER))
    try:
        return Path(tempfile.mkdtemp(prefix="trial-"))
    except OSError:  # a full disk, on which the service is yet to make room
        if not os.path.isdir(_IN_MEMORY):
            raise
        return Path(tempfile.mkdtemp(prefix="trial-", dir=_IN_MEMORY))


def limits(controller: Controller | None) -> tuple[Guard, ...]:
    """How each of the limits holds. `controller` is what `cgroups.find` found."""
    return (
        Guard(name="time", holds="hard", how="each command's supervisor ends it, whatever the worker does", remedy=""),
        _processes(),
        _memory(controller),
        Guard(
            name="disk",
            holds="watchdog",
            how="each command's supervisor adds up the workspace, the home and what is open, and ends the command",
            remedy="Put the data folder on a file system of its own, so that the host's cannot fill up.",
        ),
        Guard(name="file_size", holds="hard", how="RLIMIT_FSIZE", remedy=""),
        Guard(name="tmpfs", holds="hard", how="every tmpfs inside has a size", remedy=""),
    )


def _processes() -> Guard:
    release = os.uname().release
    version = tuple(int(part) for part in release.split("-")[0].split(".")[:2])
    if version >= _PROCESS_LIMITS_SINCE:
        return Guard(name="processes", holds="hard", how="RLIMIT_NPROC in a user namespace", remedy="")
    return Guard(
        name="processes",
        holds="none",
        how=f"Linux {release} counts processes for all user namespaces of a user together",
        remedy="Use Linux 5.14 or newer.",
    )


def _memory(controller: Controller | None) -> Guard:
    if controller is not None:
        how = f"a memory cgroup (version {controller.version}) in {controller.folder}"
        return Guard(name="memory", holds="hard", how=how, remedy="")
    remedy = (
        "Run the worker as root where the memory cgroup is writable, or under systemd with `Delegate=memory` and "
        "`DelegateSubgroup=worker`."
    )
    if not memory_usage.is_told():
        how = "there is no memory cgroup, and this kernel does not say how much memory processes share"
        return Guard(name="memory", holds="none", how=how, remedy=remedy)
    how = "each command's supervisor adds up what its processes use, ten times a second"
    return Guard(name="memory", holds="watchdog", how=how, remedy=remedy)
