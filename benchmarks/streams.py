"""A thousand people who watch: how soon each sees an event, and what they cost the service in memory."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from benchmarks.figure import Figure, quantile
from benchmarks.processes import memory
from benchmarks.world import World, world

STREAMS, LINES = 1000, 20

Json = dict[str, Any]


async def streams() -> list[Figure]:
    """All watch one run, which writes a line each second."""
    async with world() as around, around.http() as http:
        before = memory(around.pid)
        session = await around.session(
            http, command=f"sleep 5; for n in $(seq {LINES}); do echo line $n; sleep 1; done"
        )
        delays: list[float] = []
        watching = [asyncio.create_task(_watch(around, session, delays)) for _ in range(STREAMS)]  # in one instant
        await asyncio.sleep(15)
        during = memory(around.pid)
        lines = await asyncio.gather(*watching)
    if min(lines) < LINES:
        raise RuntimeError(f"a stream showed {min(lines)} lines of {LINES}")
    p50, p99 = (quantile(delays, share) * 1000 for share in (0.5, 0.99))
    return [
        Figure(
            name=f"{STREAMS} live streams: delivery",
            value=f"{p50:.0f} ms, {p99:.0f} ms",
            meaning=f"p50, p99 from an event's time to its arrival; {len(delays)} arrivals",
        ),
        Figure(
            name=f"{STREAMS} live streams: memory",
            value=f"+{during - before:.0f} MB",
            meaning="resident, of service, launcher and broker, the running session with it",
        ),
    ]


async def _watch(around: World, session: Json, delays: list[float]) -> int:
    """The number of lines that a stream has shown. A plain socket: the client must not be what is measured."""
    url = urlsplit(around.url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    path = f"/sessions/{session['id']}/events?run_id={session['runs'][0]['id']}"
    head = f"GET {path} HTTP/1.1\r\nHost: {url.netloc}\r\nAuthorization: Bearer {around.jwt}\r\n"
    writer.write(f"{head}Accept: text/event-stream\r\nConnection: close\r\n\r\n".encode())
    status = await reader.readline()
    if b" 200 " not in status:
        raise RuntimeError(f"a stream was answered {status!r}")
    lines = 0
    while piece := await reader.readline():
        if not piece.startswith(b"data: "):
            continue
        event = json.loads(piece.removeprefix(b"data: "))
        if event["type"] == "output" and "line" in event["data"]["text"]:
            lines += event["data"]["text"].count("line")
            delays.append(time.time() - datetime.fromisoformat(event["at"]).timestamp())
    writer.close()
    return lines
