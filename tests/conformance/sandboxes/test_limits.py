"""Each limit stops a command that passes it, leaves others alone, and stops nobody when it is taken away."""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import replace

import pytest

from gitward.grants import cgroups
from gitward.sandboxes import Completed
from gitward.sandboxes.protocol import MIB
from gitward.sandboxes.walls import Wall

from .rig import SMALL, Inside, Rig

pytestmark = pytest.mark.asyncio(loop_scope="session")

LIMITS = replace(SMALL, memory_bytes=96 * MIB, tmp_bytes=512 * MIB, file_bytes=512 * MIB)

HAS_CGROUPS = cgroups.find() is not None

# Each takes about 256 MiB, in its own way, and then tells.
HOGS = {
    "anonymous memory": "held = [bytearray(1 << 20) for _ in range(256)]",
    "many processes": """
for _ in range(8):
    if os.fork() == 0:
        held = [bytearray(1 << 20) for _ in range(32)]
        signal.pause()
""",
    "/tmp": "fill('/tmp/file')",
    "/dev/shm": "fill('/dev/shm/file')",
    "a memfd": "fill(os.memfd_create('hog'))",
    "an unlinked file in /tmp": "file = open('/tmp/file', 'wb'); os.unlink('/tmp/file'); fill(file.fileno())",
}

HOG = """
import os, signal, sys, time
def fill(place):
    with open(place, 'wb', buffering=0) as file:
        for _ in range(256):
            file.write(b'x' * (1 << 20))
        if isinstance(place, int):
            os.dup(place)
{}
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    time.sleep(0.05)
    try:
        if os.waitpid(-1, os.WNOHANG)[0]: sys.exit('a process is missing')
    except ChildProcessError: pass
print('BREACHED', flush=True)
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
os.kill(0, signal.SIGTERM)
"""

FILL_DISK = """
import os, sys, time
for number in range(8):
    with open(f'/workspace/{number}', 'wb') as file:
        file.write(b'x' * (16 << 20))
        if sys.argv[1] == 'unlinked':
            os.dup(file.fileno())
            os.unlink(file.name)
time.sleep(float(sys.argv[2]))
print('BREACHED')
"""

FORKS = """
import os, signal, sys
started = 0
try:
    for _ in range(int(sys.argv[1])):
        if os.fork() == 0: signal.pause()
        started += 1
except BlockingIOError: pass
print(started, flush=True)
signal.pause()
"""


async def _hog(inside: Inside, way: str, *, seconds: float) -> tuple[Completed, str]:
    program = HOG.format(HOGS[way])
    outcome = await inside.python(program, str(seconds), seconds=30)
    assert "Error" not in outcome.stderr, outcome.stderr
    return outcome.completed, outcome.said


@pytest.mark.parametrize("way", HOGS)
async def test_the_best_guard_of_this_machine_stops_a_memory_hog(rig: Rig, way: str) -> None:
    """A cgroup, where there is one, and then nobody gets beyond the limit, however fast."""
    at_once = 1 if way == "many processes" else 0
    async with rig.sandbox(limits=LIMITS) as inside:
        completed, said = await _hog(inside, way, seconds=at_once if HAS_CGROUPS else 5)
        assert (completed.limit, said) == ("memory", "")
        assert (await inside.run("true")).completed.exit_code == 0


@pytest.mark.parametrize("way", HOGS)
async def test_the_watchdog_stops_a_memory_hog(rig: Rig, way: str) -> None:
    async with rig.sandbox(limits=LIMITS, find_cgroups=lambda: None) as inside:
        completed, said = await _hog(inside, way, seconds=5)
        assert (completed.limit, said) == ("memory", "")
        assert completed.seconds < 5


@pytest.mark.parametrize("way", HOGS)
async def test_nobody_stops_a_memory_hog_without_the_wall(rig: Rig, way: str) -> None:
    async with rig.sandbox(Wall.MEMORY_LIMIT, limits=LIMITS) as inside:
        completed, said = await _hog(inside, way, seconds=0)
        assert (completed.limit, said) == (None, "BREACHED")


@pytest.mark.parametrize("way", ["named", "unlinked"])
async def test_the_watchdog_stops_a_disk_hog(rig: Rig, way: str) -> None:
    async with rig.sandbox() as inside:
        outcome = await inside.python(FILL_DISK, way, "10", seconds=30)
        assert (outcome.completed.limit, outcome.said) == ("disk", "")


@pytest.mark.parametrize("way", ["named", "unlinked"])
async def test_nobody_stops_a_disk_hog_without_the_wall(rig: Rig, way: str) -> None:
    async with rig.sandbox(Wall.DISK_LIMIT) as inside:
        outcome = await inside.python(FILL_DISK, way, "1.5", seconds=30)
        assert (outcome.completed.limit, outcome.said) == (None, "BREACHED")


async def test_a_sparse_file_is_not_counted_by_its_length(rig: Rig) -> None:
    async with rig.sandbox() as inside:
        script = "for i in 1 2 3 4; do truncate -s 30M $i; done; sleep 1.5"
        assert (await inside.bash(script)).completed.exit_code == 0


async def test_a_file_that_grows_too_long_ends_its_writer(rig: Rig) -> None:
    async with rig.sandbox() as inside:
        outcome = await inside.run("dd", "if=/dev/zero", "of=/workspace/long", "bs=1M", "count=40")
        assert (outcome.completed.exit_code, outcome.completed.limit) == (128 + 25, "disk")


async def test_processes_are_counted_for_each_sandbox_alone(rig: Rig) -> None:
    """Two sandboxes each get nearly all that they may have, at the same time; neither gets more."""
    async with rig.engine() as engine, rig.opened(engine, name="a") as a, rig.opened(engine, name="b") as b:
        counts = {"a": asyncio.create_task(_forks(a)), "b": asyncio.create_task(_forks(b))}
        await asyncio.gather(a.heard.wait(), b.heard.wait())
        for inside, task in zip((a, b), counts.values(), strict=True):
            await inside.sandbox.close()
            started = int((await task).split()[0])
            assert SMALL.processes - 6 <= started < SMALL.processes


async def _forks(inside: Inside) -> str:
    return (await inside.python(FORKS, "100", seconds=60)).said


FORK_UNTIL_FULL = """
import os, time
while True:
    try:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
    except BlockingIOError:
        print("full", flush=True)
        time.sleep(60)
"""


async def test_a_fork_bomb_leaves_room_beside_it(rig: Rig) -> None:
    """In Python: bash tries again for half a minute before it says that it cannot fork."""
    async with rig.engine() as engine, rig.opened(engine, name="a") as a, rig.opened(engine, name="b") as b:
        task = asyncio.create_task(a.python(FORK_UNTIL_FULL))
        async with asyncio.timeout(30):
            await a.heard.wait()
        assert (await b.bash("for i in 1 2 3 4 5; do /bin/true || exit 1; done")).completed.exit_code == 0
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_commands_give_way_to_everything_else(rig: Rig) -> None:
    """By 10, and a command cannot take that back."""
    own = os.getpriority(os.PRIO_PROCESS, 0)
    async with rig.engine() as engine, rig.opened(engine, name="a") as a:
        said = (await a.bash("nice; nice -n -5 nice 2>/dev/null || true")).said
    assert said.split() == [str(own + 10)] * 2


async def test_a_sandbox_at_its_memory_limit_leaves_its_neighbour_alone(rig: Rig) -> None:
    async with (
        rig.engine() as engine,
        rig.opened(engine, name="a", limits=LIMITS) as a,
        rig.opened(engine, name="b", limits=LIMITS) as b,
    ):
        neighbour = asyncio.create_task(
            b.python("held = bytearray(48 << 20)\nprint(1, flush=True)\ninput()", stdin=b"")
        )
        completed, _ = await _hog(a, "anonymous memory", seconds=0)
        assert completed.limit == "memory"
        assert (await neighbour).completed.limit is None
