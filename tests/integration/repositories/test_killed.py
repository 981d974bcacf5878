"""Workers that are killed, and disks that are full: the next one has nothing to mend by hand."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gitward.grants.processes import start_time
from mirror_world import MIB, World
from small_disks import fill, mounted, seen_by

PROGRAM = Path(__file__).parents[2] / "support" / "mirror_worker.py"
_SECONDS = 60.0


class Worker:
    """A process that has mirrors; see the program."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def ask(self, folder: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{folder}\n".encode())
        await self.process.stdin.drain()

    async def answer(self) -> dict[str, Any]:
        line = json.loads(await self._line())
        assert isinstance(line, dict)
        return line

    async def take(self, folder: str) -> dict[str, Any]:
        await self.ask(folder)
        return await self.answer()

    async def _line(self) -> bytes:
        assert self.process.stdout is not None
        async with asyncio.timeout(_SECONDS):
            return await self.process.stdout.readline()

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()


@contextlib.asynccontextmanager
async def worker(world: World, *prefix: str, limit: int = 1024 * MIB) -> AsyncIterator[Worker]:
    repository = world.repository
    process = await asyncio.create_subprocess_exec(
        *(*prefix, sys.executable, str(PROGRAM), str(world.data), world.github.url, world.github.api_url),
        *(repository.full_name, str(repository.id), str(limit)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        child = Worker(process)
        assert await child._line() == b"ready\n"
        yield child
    finally:
        assert process.stdin is not None
        process.stdin.close()
        async with asyncio.timeout(_SECONDS):
            await process.wait()
            assert process.stdout is not None
            await process.stdout.read()  # until its own children are gone, too


def processes_in(folder: Path) -> list[int]:
    """Processes whose command line or working folder has to do with a folder."""
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if str(folder).encode() in command and b"mirror_worker" not in command and start_time(int(pid)):
                found.append(int(pid))
    return found


@pytest.mark.parametrize("warm", [False, True])
async def test_killed_while_git_fetches(world: World, warm: bool) -> None:
    """While one is made, and while one is refreshed."""
    if warm:
        async with worker(world) as first:
            assert "refs" in await first.take("snapshot-a")
        await world.repository.commit("main", {"b": "b"})
    gate = world.github.gate(method="POST", path="*/git-upload-pack")
    async with worker(world) as second:
        await second.ask("snapshot-b")
        await gate.reached.wait()
        assert list((world.data / "making").iterdir()) != []
        held = world.github.requests[-1]
        cut = asyncio.create_task(world.github.traffic.wait_for(lambda request: request is held))
        await asyncio.sleep(0)
        await second.kill()
        await cut  # its broker is gone with it
    gate.open()
    async with worker(world) as third:
        assert list((world.data / "making").iterdir()) == []
        assert processes_in(world.data) == []
        answer = await third.take("snapshot-c")
    assert answer == {"told": [], "refs": await world.repository.refs("refs/heads")}
    assert len(list((world.data / "mirrors").glob("*/meta.json"))) == 1


async def test_the_mirrors_disk_is_full(world: World) -> None:
    """The run goes on without; when there is room again, there is a mirror again."""
    (world.data / "mirrors").mkdir(mode=0o700)
    with mounted({world.data / "mirrors": 1}) as prefix:
        async with worker(world, *prefix) as child:
            filler = fill(seen_by(child.process.pid, world.data / "mirrors"))
            refs = await world.repository.refs("refs/heads")
            for name in ("snapshot-a", "snapshot-b"):
                answer = await child.take(name)
                assert answer["refs"] == refs
                assert len(answer["told"]) == 1
            filler.unlink()
            assert await child.take("snapshot-c") == {"told": [], "refs": refs}
            fill(seen_by(child.process.pid, world.data / "mirrors"))  # linking needs no room, bringing up to date does
            await world.repository.commit("main", {"b": os.urandom(5000)})
            answer = await child.take("snapshot-d")
            assert answer["refs"] == await world.repository.refs("refs/heads")


async def test_the_disk_of_the_fetch_is_full(world: World) -> None:
    """Then there is nothing to go on with; it says so, leaves nothing, and works again when there is room."""
    with mounted({world.data / "making": 1}) as prefix:
        async with worker(world, *prefix) as child:
            disk = seen_by(child.process.pid, world.data / "making")
            filler = fill(disk)
            failed = await child.take("snapshot-a")
            assert "No space left on device" in json.dumps(failed)
            assert [path.name for path in disk.iterdir()] == ["filler"]
            filler.unlink()
            assert (await child.take("snapshot-b"))["refs"] == await world.repository.refs("refs/heads")


async def test_two_processes(world: World, tmp_path: Path) -> None:
    """`gitward mirrors` beside a worker: it shows what there is, and takes it away under the worker's hands."""
    environment = {
        "PATH": os.environ["PATH"],
        "GITWARD_DATA_DIR": str(world.data),
        "HOME": str(tmp_path),
        "COLUMNS": "200",
    }
    async with worker(world) as child:
        await child.take("snapshot-0")
        listed = await _gitward(environment, "list", "--json")
        (mirror,) = json.loads(listed)["mirrors"]
        assert (mirror["names"], mirror["packs"]) == (["octo/demo"], 1)
        assert "octo/demo" in await _gitward(environment, "list")
        assert "no mirror of octo/other" in await _gitward(environment, "drop", "octo/other", status=1)
        for number in range(1, 6):
            await world.repository.commit("main", {f"{number}": "x"})
            await child.ask(f"snapshot-{number}")
            dropping = asyncio.create_task(_gitward(environment, "drop", "--all"))
            answer = await child.answer()
            await dropping
            assert answer == {"told": [], "refs": await world.repository.refs("refs/heads")}
        await child.take("snapshot-6")
        assert "dropped octo/demo" in await _gitward(environment, "drop", "Octo/demo")
        assert list((world.data / "mirrors").iterdir()) == []


async def _gitward(environment: Mapping[str, str], *argv: str, status: int = 0) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gitward", "mirrors", *argv),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(_SECONDS):
        out, _ = await process.communicate()
    assert process.returncode == status, out
    return out.decode()
