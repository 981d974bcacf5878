"""Each limit stops a command that passes it, leaves others alone, and stops nobody when it is taken away."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gitward.grants import cgroups
from gitward.sandboxes import Completed
from gitward.sandboxes.protocol import MIB
from gitward.sandboxes.walls import Wall
from machine import slowness
from small_disks import mounted

from .rig import SMALL, Inside, Rig, reachable_folder

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
    "shared anonymous memory": "held = mmap.mmap(-1, 256 << 20)\nfor at in range(0, 256 << 20, 4096): held[at] = 1",
    "a memfd that is only mapped": """
file = os.memfd_create('hog')
os.ftruncate(file, 256 << 20)
libc.mmap.restype = ctypes.c_void_p
held = libc.mmap(None, ctypes.c_size_t(256 << 20), 3, 1, file, ctypes.c_long(0))
os.close(file)
ctypes.memset(held, 1, 256 << 20)
""",
    "System V segments": """
libc.shmat.restype = ctypes.c_void_p
for _ in range(8):
    held = libc.shmat(libc.shmget(0, ctypes.c_size_t(32 << 20), 0o1600), None, 0)
    ctypes.memset(held, 1, 32 << 20)
    libc.shmdt(ctypes.c_void_p(held))
""",
    "an unlinked file in /tmp": "file = open('/tmp/file', 'wb'); os.unlink('/tmp/file'); fill(file.fileno())",
}

HOG = """
import ctypes, mmap, os, signal, sys, time
libc = ctypes.CDLL(None)
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
        assert completed.seconds < 5 * slowness()


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


SHARERS = """
import mmap, os, time
held = mmap.mmap(-1, 40 << 20)
private = bytearray(16 << 20)
for at in range(0, 40 << 20, 4096): held[at] = 1
for _ in range(10):
    if os.fork() == 0:
        sum(held[at] for at in range(0, 40 << 20, 4096))
        time.sleep(60)
time.sleep(2)
print('survived', flush=True)
os.kill(0, 9)
"""


async def test_what_many_processes_share_counts_once(rig: Rig) -> None:
    """Ten processes have the same 56 MiB, of a limit of 96."""
    async with rig.sandbox(limits=LIMITS, find_cgroups=lambda: None) as inside:
        outcome = await inside.python(SHARERS)
        assert (outcome.completed.limit, outcome.said) == (None, "survived")


# Each keeps 160 MiB on the disk in files that have no name and are open nowhere, where 64 MiB are allowed.
HIDING = {
    "mapped": """
held = [mapped(file(20), 20) for _ in range(8)]
for each in held: ctypes.memset(each, 1, 20 << 20)
""",
    "mapped, a page of each": "held = [mapped(file(20, allocate=True), 0) for _ in range(8)]",
    "under way in a socket": """
one, other = socket.socketpair()
for _ in range(8):
    number = file(20, allocate=True)
    socket.send_fds(one, [b'x'], [number])
    os.close(number)
""",
    "a thread's own": """
def hide():
    libc.unshare(0x400)
    held = [file(20, allocate=True) for _ in range(8)]
    threading.Event().wait()
threading.Thread(target=hide, daemon=True).start()
""",
    "after too many others": """
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
for _ in range(3):
    if os.fork() == 0:
        held = [os.open('/dev/null', os.O_RDONLY) for _ in range(7900)]
        time.sleep(60)
time.sleep(1)
if os.fork() == 0:
    held = [file(20, allocate=True) for _ in range(8)]
    time.sleep(60)
""",
}

HIDE = """
import ctypes, os, resource, socket, sys, threading, time
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
def file(size, allocate=False):
    number = os.open('/workspace', os.O_RDWR | os.O_TMPFILE, 0o600)
    os.ftruncate(number, size << 20)
    if allocate: os.posix_fallocate(number, 0, size << 20)
    return number
def mapped(number, size):
    held = libc.mmap(None, ctypes.c_size_t((size << 20) or 4096), 3, 1, number, ctypes.c_long(0))
    os.close(number)
    return held
{}
time.sleep(float(sys.argv[1]))
print('BREACHED', flush=True)
os.kill(0, 9)
"""


@pytest.fixture
def alone(rig: Rig) -> Iterator[Rig]:
    """On a disk of its own, where that can be mounted: what anybody else writes or frees there counts as well."""
    with reachable_folder() as folder, mounted({folder / "disk": 1024} if os.geteuid() == 0 else {}):
        yield Rig(folder / "disk" if os.geteuid() == 0 else folder, rig.image)


@pytest.mark.parametrize("way", HIDING)
async def test_the_watchdog_stops_who_hides_files(alone: Rig, way: str) -> None:
    async with alone.sandbox() as inside:
        outcome = await inside.python(HIDE.format(HIDING[way]), "20", seconds=60)
        assert (outcome.completed.limit, outcome.said) == ("disk", ""), outcome


@pytest.mark.parametrize("way", HIDING)
async def test_nobody_stops_who_hides_files_without_the_wall(rig: Rig, way: str) -> None:
    async with rig.sandbox(Wall.DISK_LIMIT) as inside:
        outcome = await inside.python(HIDE.format(HIDING[way]), "0.5", seconds=60)
        assert (outcome.completed.limit, outcome.said) == (None, "BREACHED"), outcome


BYSTANDER = """
held = mapped(file(1), 1) if sys.argv[2] == 'hides a little' else None
print(flush=True)
"""

WRITE = "open('/workspace/big', 'wb').write(bytes(200 << 20)); import time; time.sleep(7)"


@pytest.mark.parametrize("kind", ["hides a little", "hides nothing"])
async def test_what_another_sandbox_writes_ends_no_innocent_one(alone: Rig, kind: str) -> None:
    """Also one that has a file mapped which is gone, as after an upgrade of what it runs."""
    rig = alone
    large = replace(SMALL, disk_bytes=1024 * MIB, file_bytes=512 * MIB, memory_bytes=1024 * MIB)
    async with (
        rig.engine() as engine,
        rig.opened(engine, name="a") as bystander,
        rig.opened(engine, name="b", limits=large) as writer,
    ):
        task = asyncio.create_task(bystander.python(HIDE.format(BYSTANDER), "9", kind, seconds=60))
        async with asyncio.timeout(30):
            await bystander.heard.wait()
        assert (await writer.python(WRITE)).completed.exit_code == 0
        outcome = await task
        assert (outcome.completed.limit, outcome.said) == (None, "BREACHED"), outcome


async def test_what_the_host_writes_ends_no_innocent_one(rig: Rig) -> None:
    async with rig.sandbox() as inside:
        task = asyncio.create_task(inside.python(HIDE.format(BYSTANDER), "6", "hides nothing", seconds=60))
        async with asyncio.timeout(30):
            await inside.heard.wait()
        await asyncio.to_thread(lambda: (rig.folder / "big").write_bytes(bytes(200 * MIB)))
        outcome = await task
        assert (outcome.completed.limit, outcome.said) == (None, "BREACHED"), outcome


@pytest.mark.parametrize(
    ("script", "limit"),
    [
        ("fallocate -l 30M /workspace/a; fallocate -l 30M /workspace/b; fallocate -l 30M ~/c", "disk"),
        ("fallocate -l 30M /workspace/a; for i in 1 2 3 4; do ln /workspace/a /workspace/a$i; done", None),
        ("fallocate -l 4M /tmp/a; fallocate -l 4M /dev/shm/b", None),
    ],
    ids=["allocated", "linked", "in tmpfs"],
)
async def test_every_block_counts_once(rig: Rig, script: str, limit: str | None) -> None:
    async with rig.sandbox() as inside:
        outcome = await inside.bash(f"{script}; sleep 2")
        assert (outcome.completed.limit, outcome.stderr) == (limit, "")


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
