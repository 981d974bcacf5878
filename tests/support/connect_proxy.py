"""A web proxy of a company, as a process of its own: CONNECT only, to names that it alone knows.

As a program it takes a JSON object: `names` ("host:port" to a port on loopback), `login` ("user:password" or ""),
`refuses` (a status for everything, or 0). It prints its port, then a line for each request: the target and the answer.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field


@dataclass
class ConnectProxy:
    """What a test sees of it."""

    port: int
    asked: list[tuple[str, int]] = field(default_factory=list)  # target and status, in order

    @property
    def targets(self) -> set[str]:
        """Where it led."""
        return {target for target, status in self.asked if status == 200}

    @property
    def statuses(self) -> set[int]:
        return {status for _, status in self.asked}


@contextlib.asynccontextmanager
async def connect_proxy(names: Mapping[str, int], *, login: str = "", refuses: int = 0) -> AsyncIterator[ConnectProxy]:
    """A started one."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", __file__, json.dumps({"names": dict(names), "login": login, "refuses": refuses})),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(300):
        proxy = ConnectProxy(port=int(await process.stdout.readline()))

    async def listen(lines: asyncio.StreamReader) -> None:
        async for line in lines:
            target, status = line.decode().split()
            proxy.asked.append((target, int(status)))

    listening = asyncio.create_task(listen(process.stdout))
    try:
        yield proxy
    finally:
        process.terminate()
        await process.wait()
        await listening


async def _serve(options: Mapping[str, object]) -> None:
    names, login, refuses = options["names"], str(options["login"]), options["refuses"]
    assert isinstance(names, dict)
    assert isinstance(refuses, int)
    wanted = f"Basic {base64.b64encode(login.encode()).decode()}" if login else ""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):
            first, *rest = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = first.split(" ")
            headers = dict(line.lower().partition(": ")[::2] for line in rest if line)
            status = refuses or _status(method, target, headers.get("proxy-authorization", ""), wanted.lower(), names)
            print(target, status, flush=True)
            writer.write(f"HTTP/1.1 {status} Answer\r\n".encode())
            if status != 200:
                writer.write(b"Content-Length: 0\r\n\r\n")
                await writer.drain()
            else:
                writer.write(b"\r\n")
                await _join(reader, writer, names[target])
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def _status(method: str, target: str, given: str, wanted: str, names: Mapping[str, int]) -> int:
    if method != "CONNECT":
        return 405
    if given != wanted:
        return 407
    return 200 if target in names else 502


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    onward_reader, onward = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_pump(reader, onward))
            group.create_task(_pump(onward_reader, writer))
    except* OSError:
        pass
    finally:
        onward.close()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while piece := await source.read(65536):
        target.write(piece)
        await target.drain()
    if target.can_write_eof():
        target.write_eof()


if __name__ == "__main__":
    asyncio.run(_serve(json.loads(sys.argv[1])))
