"""The worker's requests to the launcher: values that both ends of a channel know."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

BEAT_SECONDS = 1.0  # between two signs of life of a supervisor
GRACE_SECONDS = 2.0  # between SIGTERM and SIGKILL of a command whose time is over


@dataclass(frozen=True, kw_only=True)
class Build:
    """How bubblewrap is started. Its options come beside it, in a descriptor."""

    bwrap: str  # absolute path
    rlimits: tuple[tuple[str, int], ...] = ()  # ("NPROC", 512)
    # The rest is always true outside the conformance suite, which takes each away to see an attack succeed.
    hides_options: bool = True  # by `--args`, and not on bubblewrap's command line
    empties_environment: bool = True
    closes_descriptors: bool = True
    filters_calls: bool = True  # by the system call filter

    @classmethod
    def of(cls, message: dict[str, Any]) -> Build:
        rlimits = tuple((str(name), int(value)) for name, value in message["rlimits"])
        return cls(**{**message, "rlimits": rlimits})


@dataclass(frozen=True, kw_only=True)
class PrepareRequest:
    """To the launcher: make a supervisor and a sandbox ready for one command."""

    uid: int | None  # the unprivileged user to become first; None: stay who we are
    cgroup: str | None  # a `cgroup.procs` to enter
    network: bool  # an own network namespace
    ports: tuple[int, ...]  # to listen on, on its loopback
    build: Build
    # The rest is always true outside the conformance suite, which takes each away to see an attack succeed.
    follows: bool = True  # ends when the launcher or the worker does
    forgets_keys: bool = True  # of the operator's session

    def message(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def of(cls, message: dict[str, Any]) -> PrepareRequest:
        return cls(**{**message, "ports": tuple(message["ports"]), "build": Build.of(message["build"])})


@dataclass(frozen=True, kw_only=True)
class StartRequest:
    """To a supervisor: run the command. What the command is stands in a file that its sandbox has."""

    lock: str  # path of the workspace's claim
    timeout_seconds: float | None
    memory_bytes: int | None  # watched; None: a cgroup does it, or nobody
    disk_bytes: int | None  # watched; None: nobody does
    disk_paths: tuple[str, ...]
    in_series: bool = False  # another command may follow in the same sandbox
    ends_all: bool = True  # kills what the command leaves behind; always, outside the conformance suite

    def message(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def of(cls, message: dict[str, Any]) -> StartRequest:
        return cls(**{**message, "disk_paths": tuple(message["disk_paths"])})
