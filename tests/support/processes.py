"""What runs in the sandboxes of a service under test, as the machine's process table shows it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from gitward.broker.wire.names import BROKER_NAME
from rig import RUN_SECONDS, Client


def processes_of(rig_root: Path, *, but: str = "no such folder") -> list[str]:
    """Command lines of the processes that see a workspace of the rig: those in its sandboxes.

    :param but: a folder of the data folder, whose sandboxes do not count.
    """
    data = rig_root / "data"
    mount = next(each for each in (data, *data.parents) if each.is_mount())
    assert mount != data, "a file system of its own has no name here"
    told = f"/{data.relative_to(mount)}"  # mountinfo tells paths from the root of their file system on
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            mounts = (folder / "mountinfo").read_text()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if f"{told}/" in mounts and "/workspace" in mounts and f"{told}/{but}" not in mounts:
            found.append(command)
    return found


async def until_output(client: Client, session: dict[str, Any]) -> None:
    """Waits for the first output of the command."""
    async with asyncio.timeout(RUN_SECONDS):
        async for event in client.stream(session):
            if event["type"] == "output" and event["data"]["step"] == "execute":
                return


def children_of(pid: int, module: str) -> list[int]:
    """The children of a process that run this module of ours."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed if module in Path(f"/proc/{child}/cmdline").read_text().split("\0")]


def parent_of_brokers(service: int) -> int:
    """The process that a service's or worker's brokers are forked from."""
    [parent] = children_of(service, "gitward.broker.server.parent")
    return parent


def brokers_of(service: int) -> list[int]:
    """The brokers of a service or worker, one for each grant that is open."""
    return [
        broker
        for parent in children_of(service, "gitward.broker.server.parent")
        for broker in children_of(parent, "gitward.broker.server.parent")
        if Path(f"/proc/{broker}/comm").read_text().strip() == BROKER_NAME
    ]
