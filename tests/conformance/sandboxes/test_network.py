"""From inside, the endpoint is the whole network."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import Sequence
from socket import socket

import pytest

from gitward.sandboxes import Command
from gitward.sandboxes.engine import BubblewrapEngine
from gitward.sandboxes.fake import FakeEndpoint

from .rig import SMALL, Rig

pytestmark = pytest.mark.asyncio(loop_scope="session")

OPEN_PORTS = """
import json
found = set()
for name in ('tcp', 'tcp6', 'udp', 'udp6'):
    for line in open(f'/proc/net/{name}').read().splitlines()[1:]:
        found.add((name, int(line.split()[1].rpartition(':')[2], 16)))
print(json.dumps(sorted(found)))
"""

DIRECT = """
import errno, json, socket
def attempt(family, kind, address):
    try:
        socket.socket(family, kind).connect(address)
        return 'connected'
    except OSError as error:
        return errno.errorcode[error.errno]
found = {
    'tcp': attempt(socket.AF_INET, socket.SOCK_STREAM, ('192.0.2.1', 443)),
    'tcp6': attempt(socket.AF_INET6, socket.SOCK_STREAM, ('2001:db8::1', 443)),
    'udp': attempt(socket.AF_INET, socket.SOCK_DGRAM, ('192.0.2.1', 53)),
}
try:
    found['dns'] = str(socket.getaddrinfo('pypi.org', 443))
except socket.gaierror:
    found['dns'] = 'gaierror'
print(json.dumps(found))
"""

FETCH = """
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())
"""


def _advertise(_head: bytes) -> bytes:
    line = b"1" * 40 + b" refs/heads/main\0agent=fake\n"
    return b"001e# service=git-upload-pack\n0000" + b"%04x" % (len(line) + 4) + line + b"0000"


async def test_git_reaches_the_endpoint_under_githubs_name_and_trusts_it(rig: Rig, engine: BubblewrapEngine) -> None:
    content_type = "application/x-git-upload-pack-advertisement"
    async with rig.opened(engine, respond=_advertise, content_type=content_type) as inside:
        outcome = await inside.run("git", "-c", "protocol.version=0", "ls-remote", "https://github.com/octo/demo")
        assert outcome.said == "1" * 40 + "\trefs/heads/main", outcome.stderr
        assert inside.endpoint.requests[0].startswith(b"GET /octo/demo/info/refs?service=git-upload-pack HTTP/1.1\r\n")
        assert b"Host: github.com\r\n" in inside.endpoint.requests[0]


@pytest.mark.parametrize("host", ["github.com", "api.github.com"])
async def test_every_host_of_the_endpoint_answers(rig: Rig, engine: BubblewrapEngine, host: str) -> None:
    async with rig.opened(engine) as inside:
        outcome = await inside.python(FETCH, f"https://{host}/path")
        assert outcome.said.startswith("GET /path HTTP/1.1"), outcome.stderr


async def test_without_the_ca_the_endpoint_is_not_trusted(rig: Rig, engine: BubblewrapEngine) -> None:
    """So it is the bundle that makes it trusted, and nothing weaker."""
    async with rig.opened(engine) as inside:
        bundle = {"SSL_CERT_FILE": "/dev/null", "GIT_SSL_CAINFO": "/dev/null", "SSL_CERT_DIR": "/dev/null"}
        assert "CERTIFICATE_VERIFY_FAILED" in (await inside.python(FETCH, "https://github.com/", env=bundle)).stderr
        outcome = await inside.run("git", "ls-remote", "https://github.com/octo/demo", env=bundle)
        assert outcome.completed.exit_code == 128


async def test_the_bundle_has_the_public_roots_too(rig: Rig, engine: BubblewrapEngine) -> None:
    async with rig.opened(engine) as inside:
        script = "import ssl; print(len(ssl.create_default_context().get_ca_certs()))"
        inside_roots = int((await inside.python(script)).said)
    assert inside_roots >= len(ssl.create_default_context().get_ca_certs()) + 1


async def test_only_the_endpoints_ports_are_open(rig: Rig, engine: BubblewrapEngine) -> None:
    async with rig.opened(engine) as inside:
        assert json.loads((await inside.python(OPEN_PORTS)).said) == [["tcp", 443]]


async def test_the_endpoint_decides_on_the_port(rig: Rig, engine: BubblewrapEngine) -> None:
    async with rig.opened(engine, port=8443) as inside:
        assert json.loads((await inside.python(OPEN_PORTS)).said) == [["tcp", 8443]]


async def test_a_proxy_is_one_more_port_and_no_way_around_it(rig: Rig, engine: BubblewrapEngine) -> None:
    """Other hosts are the proxy's matter: without it there is no route, no name and no datagram, as before."""
    async with rig.opened(engine, proxy_port=3128) as inside:
        assert json.loads((await inside.python(OPEN_PORTS)).said) == [["tcp", 443], ["tcp", 3128]]
        for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "ALL_PROXY"):
            assert (await inside.run("printenv", name)).said == "http://127.0.0.1:3128"
        assert json.loads((await inside.python(DIRECT)).said) == {
            "tcp": "ENETUNREACH",
            "tcp6": "ENETUNREACH",
            "udp": "ENETUNREACH",
            "dns": "gaierror",
        }


async def test_without_a_proxy_no_variable_speaks_of_one(rig: Rig, engine: BubblewrapEngine) -> None:
    async with rig.opened(engine) as inside:
        assert "proxy" not in (await inside.run("env")).said.lower()


async def test_listeners_are_detached_when_the_command_ends(rig: Rig, engine: BubblewrapEngine) -> None:
    async with rig.opened(engine) as inside:
        assert not inside.endpoint.attached
        await inside.run("true")
        assert not inside.endpoint.attached


async def test_one_commands_network_is_not_anothers(rig: Rig, engine: BubblewrapEngine) -> None:
    """A listener of one command cannot be reached by the next, nor by a command beside it."""
    serve = "import socket; s = socket.create_server(('127.0.0.1', 7777)); print('up', flush=True); s.accept()"
    async with rig.opened(engine) as inside:
        server = asyncio.create_task(inside.python(serve))
        await inside.heard.wait()
        beside = await inside.python("import socket; print(socket.socket().connect_ex(('127.0.0.1', 7777)))")
        assert beside.said == "111"
        server.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await server


async def test_an_endpoint_that_cannot_attach_ends_the_command(rig: Rig, engine: BubblewrapEngine) -> None:
    class Broken(FakeEndpoint):
        async def attach(self, listeners: Sequence[socket]) -> str:
            raise ConnectionError("the broker is gone")

    sandbox = await engine.open(name="x", workspace=rig.folder / "x", endpoint=Broken(), limits=SMALL)
    with pytest.raises(ConnectionError):
        await sandbox.run(Command(argv=("touch", "/workspace/ran"), timeout_seconds=10))
    await sandbox.close()
    assert not (rig.folder / "x/work/ran").exists()
