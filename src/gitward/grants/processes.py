"""Distinguishes a process from a later one with the same number."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_ENDED = frozenset("ZX")  # a zombie does nothing any more


def start_time(pid: int) -> str | None:
    """When a process started, in clock ticks since boot; None when there is no such process."""
    fields = _stat(pid)
    return fields[19] if fields else None


def identity(pid: int) -> str | None:
    """The process as a text, "<pid> <start time>"; None when there is no such process."""
    started = start_time(pid)
    return f"{pid} {started}" if started else None


def is_alive(identified: str) -> bool:
    """Whether a process, as `identity` wrote it down, can still do something."""
    pid, _, started = identified.partition(" ")
    try:
        fields = _stat(int(pid)) if pid.isdecimal() else None
    except PermissionError:  # it is hidden from us
        return True
    return fields is not None and fields[19] == started and fields[0] not in _ENDED


def identities(pids: Iterable[int | None]) -> list[str]:
    """Of those processes that exist."""
    return [known for pid in pids if pid is not None and (known := identity(pid))]


def machine() -> str:
    """Names this boot of this machine, as far as process numbers mean the same: containers have their own.

    Where others' processes are hidden (hidepid), a process that is not seen may live: the name is nobody else's then.
    """
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    seen = os.access("/proc/1/stat", os.R_OK)  # `exists` raises where hidepid=1 refuses
    alone = "" if seen else f" {os.urandom(8).hex()}"
    return f"{boot} {os.readlink('/proc/self/ns/pid')}{alone}"


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/<pid>/stat from the state on."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            text = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(b")") + 2 :].decode().split()
