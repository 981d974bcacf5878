"""A tunnel through the broker beside the same connection without it: one large download, and many small ones.

`python -m benchmarks.egress CHAIN` is the server that both lead to: it prints its port.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks.figure import Figure, median
from benchmarks.processes import cpu_seconds, forget_peak, memory, peak_memory
from benchmarks.world import HOSTS
from certificates import self_signed
from gitward.broker import BrokerConfig, Brokers, EgressConfig
from gitward.grants import clock
from gitward.grants.grant import Grant
from gitward.secrets import Secret
from gitward.settings.environment import clean_environment

HOST = "packages.test"
MEGABYTES, SMALL, ROUNDS = 500, 40, 5
_PIECE = bytes(1024 * 1024)


class Handler(BaseHTTPRequestHandler):
    """`/N` answers N megabytes."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        count = int(self.path[1:])
        self.send_response(200)
        self.send_header("Content-Length", str(count * len(_PIECE)))
        self.end_headers()
        for _ in range(count):
            self.wfile.write(_PIECE)

    def log_message(self, *_: object) -> None:
        """Nothing."""


async def egress() -> list[Figure]:
    """Round by round, direct and through the broker in turns."""
    root = Path(tempfile.mkdtemp(prefix="gitward-bench-"))
    try:
        chain, _ = self_signed(root, (*HOSTS, "localhost"))
        async with _server(chain) as port, _proxied(port) as (proxy, pid):
            ways = {"direct": ["--resolve", f"{HOST}:{port}:127.0.0.1"], "broker": ["--proxy", proxy]}
            for way in ways.values():
                await _curl(way, f"https://{HOST}:{port}/1")
            return await _measure(ways, f"https://{HOST}:{port}", pid)
    finally:
        shutil.rmtree(root)


async def _measure(ways: dict[str, list[str]], url: str, pid: int) -> list[Figure]:
    large: dict[str, list[float]] = {name: [] for name in ways}
    small: dict[str, list[float]] = {name: [] for name in ways}
    forget_peak(pid)
    before, began = memory(pid), cpu_seconds(pid)
    for _ in range(ROUNDS):
        for name, way in ways.items():
            large[name].append(await _curl(way, f"{url}/{MEGABYTES}"))
    cpu, growth = (cpu_seconds(pid) - began) / ROUNDS, peak_memory(pid) - before
    for _ in range(SMALL):
        for name, way in ways.items():
            small[name].append(await _curl(way, f"{url}/0"))
    direct, through = (median(large[name]) for name in ways)
    quick, slower = (median(small[name]) for name in ways)
    return [
        Figure(
            name=f"egress: {MEGABYTES} MB by a tunnel / direct",
            value=f"{through / direct:.2f}",
            meaning=f"{through:.2f} s / {direct:.2f} s; broker: {cpu:.2f} CPU-s, memory +{growth:.0f} MB",
        ),
        Figure(
            name="egress: a tunnel's first answer, beyond direct",
            value=f"{(slower - quick) * 1000:.1f} ms",
            meaning=f"{slower * 1000:.1f} ms - {quick * 1000:.1f} ms, with curl's own start",
        ),
    ]


async def _curl(way: list[str], url: str) -> float:
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *("curl", "--silent", "--show-error", "--fail", "--insecure", "--max-time", "120", "--output", "/dev/null"),
        *(*way, "--", url),
        env=clean_environment(),
    )
    if await process.wait() != 0:
        raise RuntimeError(f"curl failed on {url}")
    return time.perf_counter() - began


@asynccontextmanager
async def _server(chain: Path) -> AsyncIterator[int]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.egress", str(chain)),
        stdout=asyncio.subprocess.PIPE,
        env=clean_environment(PYTHONPATH=os.environ["PYTHONPATH"]),  # as scripts/bench sets it
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            port = int(await process.stdout.readline())
        yield port
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def _proxied(port: int) -> AsyncIterator[tuple[str, int]]:
    """The proxy's address, and the broker's process id."""
    config = BrokerConfig(
        server_url="https://github.com",
        api_url="https://api.github.com",
        upstream_url="http://127.0.0.1:9",
        upstream_api_url="http://127.0.0.1:9",
        egress=EgressConfig(rules=f"{HOST}:{port}", names={HOST: ("127.0.0.1",)}, trusted=("127.0.0.1",)),
    )
    assert config.proxy_port is not None
    grant = Grant(run_id="bench", repository="a/b", push_ref="refs/heads/c", expires_at=clock.seconds() + 3600)
    broker = Brokers(config)
    await broker.start()
    try:
        with socket.create_server(("127.0.0.1", config.proxy_port), backlog=64) as listener:
            opened = await broker.open(grant, Secret("ghp_benchmark"), lambda _: None)
            await opened.attach([listener])
            assert opened.pid is not None
            yield f"http://127.0.0.1:{config.proxy_port}", opened.pid
    finally:
        await broker.stop()


def serve(chain: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    serve(sys.argv[1])
