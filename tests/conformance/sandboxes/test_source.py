"""An input that stays open while its command runs: what is written arrives at once; nothing outlives the command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gitward.sandboxes import Command, Stream

from .rig import Inside, python_inside

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECONDS = 30.0
ECHO = """
import sys
for line in sys.stdin:
    print(line.upper(), end="", flush=True)
print("end", flush=True)
"""


class Source:
    """Pieces that the test gives; counts what was asked for."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.asked = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        self.asked += 1
        piece = await self.queue.get()
        if piece is None:
            raise StopAsyncIteration
        return piece


async def test_a_command_is_spoken_to_while_it_runs(inside: Inside) -> None:
    source, said = Source(), bytearray()
    heard = asyncio.Event()

    async def keep(_stream: Stream, piece: bytes) -> None:
        said.extend(piece)
        heard.set()

    command = Command(argv=(python_inside(), "-c", ECHO), source=source, timeout_seconds=SECONDS)
    running = asyncio.create_task(inside.sandbox.run(command, keep))
    async with asyncio.timeout(SECONDS):
        for word in (b"one\n", b"two\n"):
            heard.clear()
            source.queue.put_nowait(word)
            await heard.wait()
        assert bytes(said) == b"ONE\nTWO\n"
        source.queue.put_nowait(None)
        completed = await running
    assert completed.exit_code == 0
    assert bytes(said) == b"ONE\nTWO\nend\n"


@pytest.mark.parametrize("script", ["exit 3", "exec <&-; exit 3", "setsid sleep 1000 & exit 3"])
async def test_a_source_that_goes_on_does_not_hold_a_command_that_ended(inside: Inside, script: str) -> None:
    """Not even when a process that it left behind still had the input open."""
    source = Source()
    source.queue.put_nowait(b"x" * 10)
    async with asyncio.timeout(SECONDS):
        outcome = await inside.bash(script, source=source, seconds=SECONDS)
    assert outcome.completed.exit_code == 3
    asked = source.asked
    source.queue.put_nowait(b"more")
    await asyncio.sleep(0)
    assert (source.asked, source.queue.qsize()) == (asked, 1)  # nobody waits for it any more


async def test_a_command_that_does_not_read_holds_its_source_back(inside: Inside) -> None:
    source = Source()
    for _ in range(100):
        source.queue.put_nowait(b"x" * 64 * 1024)
    inside.heard.clear()
    running = asyncio.create_task(inside.bash("echo ready; sleep 1000", source=source, seconds=SECONDS * 2))
    async with asyncio.timeout(SECONDS):
        await inside.heard.wait()
        for _ in range(100):
            await asyncio.sleep(0.001)
        assert source.asked < 10  # a pipe's worth, and the piece that waits
        running.cancel()
        await asyncio.wait({running})


async def test_a_command_that_closes_its_input_does_not_hold_its_source(inside: Inside) -> None:
    """What is written then is lost; who writes it must not wait for ever."""
    source = Source()
    for _ in range(100):
        source.queue.put_nowait(b"x" * 64 * 1024)
    source.queue.put_nowait(None)
    outcome = await inside.bash("exec <&-; sleep 0.5; echo done", source=source, seconds=SECONDS)
    assert outcome.said == "done"
    assert source.queue.empty()


async def test_a_source_that_fails_ends_the_command(inside: Inside) -> None:
    class Broken(Source):
        async def __anext__(self) -> bytes:
            raise RuntimeError("broken")

    async with asyncio.timeout(SECONDS):
        with pytest.raises(RuntimeError, match="broken"):
            await inside.bash("sleep 1000", source=Broken(), seconds=SECONDS * 2)


async def test_a_cancel_ends_command_and_feeding(inside: Inside) -> None:
    source = Source()
    inside.heard.clear()
    running = asyncio.create_task(inside.bash("echo ready; sleep 1000", source=source, seconds=SECONDS * 2))
    async with asyncio.timeout(SECONDS):
        await inside.heard.wait()
        running.cancel()
        await asyncio.wait({running})
    assert running.cancelled()
