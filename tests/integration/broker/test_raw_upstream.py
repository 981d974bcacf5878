"""What reaches upstream, byte by byte: each request is whole, or the next of the connection would be read as its rest.

The upstream here reads no more of a request than its head says, and keeps its connections, as a real one does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest

from gitward.broker import InjectConfig

from .conftest import TOKEN, new_grant
from .wire import API_HOST, GIT_HOST, Wire, wired

OID = "a" * 64
HIDDEN = b"DELETE /api/v3/repos/octo/other HTTP/1.0\r\nx-rest: "
LFS = "/octo/demo.git/info/lfs"


class Upstream:
    """Git, API and the storage of LFS objects, at one address."""

    def __init__(self) -> None:
        self.url = ""
        self.lines: list[str] = []  # the first line of each request, as it was understood
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *fields = head.rstrip("\r\n").split("\r\n")
                self.lines.append(first)
                headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
                await reader.readexactly(int(headers.get("content-length", "0")))
                if headers.get("transfer-encoding") == "chunked":
                    while size := int(await reader.readuntil(b"\r\n"), 16):
                        await reader.readexactly(size + 2)
                    await reader.readexactly(2)
                answer = self._answer(first)
                kind = b"application/vnd.git-lfs+json" if b"objects" in answer else b"application/json"
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (kind, len(answer)))
                writer.write(b"" if first.startswith("HEAD ") else answer)
        writer.close()

    def _answer(self, first: str) -> bytes:
        if "objects/batch" not in first:
            return b"{}"
        actions = {"download": {"href": f"{self.url}/storage/{OID}"}}
        return json.dumps({"objects": [{"oid": OID, "size": 1, "actions": actions}]}).encode()


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    upstream = Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield upstream
    server.close()


async def _address(wire: Wire) -> str:
    body = json.dumps({"operation": "download", "objects": [{"oid": OID, "size": 1}]}).encode()
    answer = await wire.ask(f"POST {LFS}/objects/batch", host=GIT_HOST, body=body)
    href: str = json.loads(answer.body)["objects"][0]["actions"]["download"]["href"]
    return href[href.index("/octo/") :]


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize(
    ("line", "host"),
    [
        ("GET /user", API_HOST),
        ("GET /repos/octo/demo/issues", API_HOST),
        ("GET /octo/demo.git/info/refs?service=git-upload-pack", GIT_HOST),
        (f"GET {LFS}/locks", GIT_HOST),
        ("GET {address}", GIT_HOST),
    ],
)
async def test_a_body_where_none_belongs_becomes_no_request(
    line: str, host: str, framing: str, upstream: Upstream
) -> None:
    """Whatever is asked next on the broker's connection, upstream reads it from its beginning."""
    async with wired(upstream.url, f"{upstream.url}/api/v3", new_grant(), TOKEN) as wire:
        asked = line.format(address=await _address(wire)) if "{" in line else line
        body = b"x" * len(HIDDEN)
        if framing == "chunked":
            chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
            await wire.ask(asked, "Transfer-Encoding: chunked", host=host, body=chunks)
        else:
            await wire.ask(asked, host=host, body=body)
        upstream.lines.clear()
        language = f"Accept-Language: {HIDDEN.decode('latin-1').partition(chr(13))[0]}"
        answers = [await wire.ask("GET /user", language) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert upstream.lines == ["GET /api/v3/user HTTP/1.1"] * 2


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "POST"])
async def test_so_at_a_host_with_a_key(method: str, upstream: Upstream) -> None:
    """There a body goes on, whatever the method is, and all of it."""
    inject = [InjectConfig(host="model.test", port=443, header="x-api-key", upstream=upstream.url)]
    async with wired(upstream.url, f"{upstream.url}/api/v3", new_grant(), TOKEN, inject=inject) as wire:
        for _ in range(2):
            await wire.ask(f"{method} /v1/things", host="model.test", body=HIDDEN, auth=False)
    assert upstream.lines == [f"{method} /v1/things HTTP/1.1"] * 2
