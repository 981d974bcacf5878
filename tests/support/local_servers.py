"""Servers of others, as processes that listen on loopback while they are used."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

from gitward.settings.environment import clean_environment

_START_SECONDS = 60.0


@contextlib.asynccontextmanager
async def running(*command: str, port: int, log: Path, **variables: str) -> AsyncIterator[int]:
    """The process id, once it listens.

    :param log: what it prints.
    :param variables: of its environment.
    """
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=clean_environment(**variables)
        )
    try:
        async with asyncio.timeout(_START_SECONDS):
            while not await _listens(port):
                if process.returncode is not None:
                    raise RuntimeError(f"{command[0]} ended with {process.returncode}: {log.read_text()[-2000:]}")
                await asyncio.sleep(0.05)
        yield process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        async with asyncio.timeout(_START_SECONDS):
            await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
