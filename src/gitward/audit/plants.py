"""Plants values where no command of a run can: in processes and files outside, the service's log, an answer to
/metrics.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from gitward.audit.needles import Plant
from gitward.audit.stage import Stage
from gitward.settings import clean_environment


@contextlib.asynccontextmanager
async def planted_outside(stage: Stage, plant: Plant) -> AsyncIterator[str]:
    """Until the end of the block; the address of a stand-in of /metrics. The line in the log stays."""
    if stage.log is not None:
        with stage.log.open("ab") as log:
            log.write(f"planted by gitward audit-token: {plant.text}\n".encode())
    async with _process(plant), _metrics(plant) as url:
        with _file(plant, Path("/tmp")), _file(plant, stage.data):  # noqa: S108  # it is one of the folders to look at
            yield url


@contextlib.asynccontextmanager
async def _process(plant: Plant) -> AsyncIterator[None]:
    """One with the values in its arguments and in its environment."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-c", "import sys; sys.stdin.read()", plant.text),
        stdin=asyncio.subprocess.PIPE,
        env=clean_environment(PLANTED=plant.text),
    )
    try:
        yield
    finally:
        assert process.stdin is not None
        process.stdin.close()
        async with asyncio.timeout(10):
            await process.wait()


@contextlib.contextmanager
def _file(plant: Plant, folder: Path) -> Iterator[None]:
    with tempfile.NamedTemporaryFile(prefix="gitward-audit-", dir=folder) as file:
        file.write(plant.text.encode() + plant.binary)
        file.flush()
        yield


@contextlib.asynccontextmanager
async def _metrics(plant: Plant) -> AsyncIterator[str]:
    """A server on loopback whose one answer is the plant: the service's own metrics take no text of others."""
    body = f"# HELP planted {plant.text}\n".encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            await reader.readuntil(b"\r\n\r\n")
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/metrics"
