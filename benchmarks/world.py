"""One stand-in for both sides: GitHub's names lead to it in a network namespace of the benchmark's own.

The service and the bare commands speak to the same TLS server at https://github.com, so the difference between them
is Gitward.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gitward.api.keys import load_or_make_key, mint
from gitward.settings import clean_environment
from gitward.standin import StandIn, Token, TokenKind

LOGIN, REPOSITORY, TOKEN = "octocat", "octocat/hello-world", "github_pat_benchmark"
HOSTS = ("github.com", "api.github.com")


@dataclass(frozen=True, kw_only=True)
class World:
    """A running service and a stand-in, in one folder."""

    root: Path
    github: StandIn
    url: str  # of the service
    pid: int  # of the service
    jwt: str
    ca: Path  # certificates, PEM, of the stand-in

    def http(self, **options: Any) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self.jwt}"}
        return httpx.AsyncClient(base_url=self.url, headers=headers, trust_env=False, timeout=60, **options)

    async def session(self, http: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
        answer = await http.post("/sessions", json={"repo": REPOSITORY, "target_branch": "main", **body})
        answer.raise_for_status()
        parsed: dict[str, Any] = answer.json()
        return parsed

    async def events(self, http: httpx.AsyncClient, session: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Live events of the session's first run, until it has ended."""
        url, run_id = f"/sessions/{session['id']}/events", session["runs"][0]["id"]
        async with http.stream(
            "GET", url, params={"run_id": run_id}, headers={"Accept": "text/event-stream"}
        ) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))


def own_network() -> None:
    """Brings up loopback in the namespace that scripts/bench made."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=10)


def _own_hosts(root: Path) -> None:
    """Gives GitHub's names to loopback."""
    hosts = root / "hosts"
    hosts.write_text("127.0.0.1 localhost " + " ".join(HOSTS) + "\n")
    subprocess.run(["mount", "--bind", str(hosts), "/etc/hosts"], check=True, timeout=10)


def certificate(root: Path) -> tuple[Path, Path]:
    """For GitHub's names and localhost: a certificate that signs itself, with its key behind it; and it alone, for
    clients to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "benchmark")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(host) for host in (*HOSTS, "localhost")]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    ca, chain = root / "ca.pem", root / "chain.pem"
    pem = made.public_bytes(serialization.Encoding.PEM)
    ca.write_bytes(pem)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain.write_bytes(pem + private)
    return chain, ca


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    root = Path(tempfile.mkdtemp(prefix="gitward-bench-"))
    root.chmod(0o711)
    _own_hosts(root)
    chain, ca = certificate(root)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain)
    github = StandIn(root / "github", port=443, tls=context)
    try:
        await github.start()
        github.add_user(LOGIN, name="The Octocat")
        github.add_token(TOKEN, Token(login=LOGIN, kind=TokenKind.FINE_GRAINED))
        await github.add_repository(REPOSITORY, permissions={LOGIN: "admin"})
        async with _service(root, ca) as (url, pid):
            jwt = mint(load_or_make_key(root / "data"), subject="bench", audience="gitward")
            yield World(root=root, github=github, url=url, pid=pid, jwt=jwt, ca=ca)
    finally:
        await github.stop()
        await asyncio.to_thread(shutil.rmtree, root, ignore_errors=True)


@asynccontextmanager
async def _service(root: Path, ca: Path) -> AsyncIterator[tuple[str, int]]:
    data = str(root / "data")
    settings = {"GITHUB_TOKEN": TOKEN, "GITWARD_DATA_DIR": data, "GITWARD_PORT": "0", "SSL_CERT_FILE": str(ca)}
    with (root / "service.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gitward", "serve"),
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env=clean_environment(**settings),
            cwd=root,
        )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            line = await process.stdout.readline()
        if not line.startswith(b"Gitward is ready at "):
            raise RuntimeError((root / "service.log").read_text()[-2000:])
        yield line.decode().split()[-1], process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            await process.wait()
