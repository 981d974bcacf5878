"""The sandbox of the next command is made before the command is known; nothing of it outlives what it was made for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest

from gitward.sandboxes import SandboxError
from gitward.sandboxes.engine import BubblewrapEngine
from gitward.sandboxes.processes_inside import children

from .rig import Inside, Rig, are_gone, close_all, parent_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

NAMESPACES = ("mnt", "pid", "net", "ipc", "uts", "user")


async def waiting(inside: Inside) -> int:
    """Process 1 of the sandbox that waits for a command, as soon as its shell waits."""
    async with asyncio.timeout(10):
        while True:
            for line in (inside.workspace / "claim").read_text().splitlines():
                pid = int(line.split()[0])
                with contextlib.suppress(OSError):
                    for child in children(pid):
                        if Path(f"/proc/{child}/cmdline").read_bytes().startswith(b"/bin/sh\0-c\0read"):
                            return pid
            await asyncio.sleep(0.01)


def namespaces(pid: int | str) -> list[str]:
    return [os.readlink(f"/proc/{pid}/ns/{name}") for name in NAMESPACES]


async def test_a_command_runs_in_the_sandbox_that_was_ready(inside: Inside) -> None:
    for _ in range(2):
        there = namespaces(await waiting(inside))
        look = f"import os; print(*(os.readlink('/proc/self/ns/' + name) for name in {NAMESPACES}))"
        assert (await inside.python(look)).said.split() == there


async def test_no_sandbox_serves_two_commands(inside: Inside) -> None:
    look = "readlink /proc/self/ns/mnt /proc/self/ns/net; touch /tmp/left; ls /tmp"
    outcomes = [await inside.bash(look) for _ in range(4)]
    outcomes += await asyncio.gather(*(inside.bash(look) for _ in range(4)))
    assert {outcome.stdout.splitlines()[2] for outcome in outcomes} == {"left"}
    assert len({tuple(outcome.stdout.splitlines()[:2]) for outcome in outcomes}) == 8


async def test_what_waits_has_every_wall_already(inside: Inside) -> None:
    """Where a command will be, before one is there: its user, its limits, its filter, its rights."""
    [shell] = children(await waiting(inside))
    fields = dict(line.split(":\t", 1) for line in Path(f"/proc/{shell}/status").read_text().splitlines())
    assert fields["CapEff"] == fields["CapPrm"] == fields["CapBnd"] == "0" * 16
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")
    if os.geteuid() == 0:
        assert fields["Uid"].split() == [str((inside.workspace / "work").stat().st_uid)] * 4
    limits = Path(f"/proc/{shell}/limits").read_text()
    assert f"Max processes             {40:<20} {40:<20}" in limits
    variables = Path(f"/proc/{shell}/environ").read_bytes().split(b"\0")
    assert not [variable for variable in variables if b"HOME=" in variable and b"gitward" not in variable]


async def test_what_waits_ends_with_its_sandbox(rig: Rig, engine: BubblewrapEngine) -> None:
    async with rig.opened(engine) as inside:
        await inside.run("true")
        init = await waiting(inside)
        handles = {pid: os.pidfd_open(pid) for pid in (init, *children(init), parent_of(init))}
    try:
        assert are_gone(handles, seconds=0.1), "it is gone when `close` returns"
    finally:
        close_all(handles)


@pytest.mark.parametrize("generations", [2, 3], ids=["supervisor", "launcher"])
async def test_what_waits_ends_with_its_supervisor_and_launcher(rig: Rig, generations: int) -> None:
    async with rig.engine() as engine, rig.opened(engine) as inside:
        init = await waiting(inside)
        handles = {init: os.pidfd_open(init)}
        parent = init
        for _ in range(generations):
            parent = parent_of(parent)
        os.kill(parent, signal.SIGKILL)
        try:
            assert await asyncio.to_thread(are_gone, handles)
        finally:
            close_all(handles)
        assert (await inside.run("echo", "there")).said == "there"


async def test_what_waited_and_was_killed_is_replaced(inside: Inside) -> None:
    """As by the kernel, when an earlier command used up the memory of the sandbox's group."""
    for of_shell in (False, True):
        init = await waiting(inside)
        [killed] = children(init) if of_shell else [init]
        handle = os.pidfd_open(killed)
        os.kill(killed, signal.SIGKILL)
        assert await asyncio.to_thread(are_gone, {killed: handle})
        os.close(handle)
        assert (await inside.run("echo", "there")).said == "there"


async def test_what_waits_starts_nothing_when_its_workspace_was_taken_over(rig: Rig) -> None:
    async with rig.engine() as first, rig.engine() as second, rig.opened(first) as inside:
        await waiting(inside)
        async with rig.opened(second) as other:
            with pytest.raises(SandboxError):
                await inside.run("touch", "/workspace/late")
            assert (await other.run("ls", "/workspace")).stdout == ""
