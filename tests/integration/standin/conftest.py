"""A running stand-in, and real git as a client of it, with nothing of this machine's git configuration."""

from __future__ import annotations

import asyncio
import base64
import shutil
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gitward.grants import channel
from gitward_standin import Repository, StandIn, Token, TokenKind
from octocat import REPOSITORY, TOKEN, octocat

TIMEOUT = 60.0  # seconds for one command


@dataclass(frozen=True, kw_only=True)
class Result:
    code: int
    out: str
    err: str


def authorization(token: str, user: str = "x-access-token") -> str:
    """The configuration value that makes git send a token."""
    encoded = base64.b64encode(f"{user}:{token}".encode()).decode()
    return f"http.extraHeader=Authorization: Basic {encoded}"


class Client:
    """Runs git in a folder of its own, with one token or another or none."""

    def __init__(self, home: Path, url: str) -> None:
        self.home = home
        self.url = url
        git = shutil.which("git")
        assert git is not None
        self._git = git
        self.environment = {
            "PATH": f"{Path(git).parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
        }
        (home / ".gitconfig").write_text(
            "[user]\n\tname = Mona\n\temail = mona@example.org\n[init]\n\tdefaultBranch = main\n[gc]\n\tauto = 0\n"
        )

    async def __call__(
        self,
        *arguments: str,
        cwd: Path | None = None,
        token: str | None = TOKEN,
        expect: int | None = 0,
        environment: Mapping[str, str] | None = None,
    ) -> Result:
        """Runs one command and checks its exit code (any, when `expect` is None)."""
        config = ["-c", authorization(token)] if token else []
        process = await asyncio.create_subprocess_exec(
            self._git,
            *config,
            *arguments,
            cwd=cwd or self.home,
            env={**self.environment, **(environment or {})},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(TIMEOUT):
            out, err = await process.communicate()
        assert process.returncode is not None
        result = Result(code=process.returncode, out=out.decode(), err=err.decode())
        assert expect is None or result.code == expect, result
        return result

    async def clone(self, full_name: str = REPOSITORY, *options: str, token: str | None = TOKEN) -> Path:
        """A fresh clone; returns its folder."""
        folder = self.home / f"clone-{len(list(self.home.iterdir()))}"
        await self("clone", "--quiet", *options, f"{self.url}/{full_name}", str(folder), token=token)
        return folder

    async def commit(self, folder: Path, path: str, content: bytes, message: str = "Change") -> str:
        """Commits one file; returns the commit."""
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
        await self("add", "--", path, cwd=folder)
        await self("commit", "--quiet", "-m", message, cwd=folder)
        return (await self("rev-parse", "HEAD", cwd=folder)).out.strip()


@pytest.fixture
async def standin(tmp_path: Path) -> AsyncIterator[StandIn]:
    async with octocat(tmp_path) as github:
        yield github


@pytest.fixture
def repository(standin: StandIn) -> Repository:
    return standin.repository(REPOSITORY)


@pytest.fixture
def git(standin: StandIn, tmp_path: Path) -> Client:
    (tmp_path / "client").mkdir()
    return Client(tmp_path / "client", standin.url)


class Inside:
    """Runs commands where GitHub's names lead to the stand-in, with a home of their own."""

    def __init__(self, outside: socket.socket, home: Path, certificate: Path) -> None:
        self.home = home
        self._outside = outside
        self.environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(home),
            "TMPDIR": str(home / "tmp"),  # gh keeps what it learned of the server there for a day
            "LC_ALL": "C.UTF-8",
            "GH_NO_UPDATE_NOTIFIER": "1",
            "GH_PROMPT_DISABLED": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "SSL_CERT_FILE": str(certificate),
            "GIT_SSL_CAINFO": str(certificate),
        }
        (home / "tmp").mkdir()
        (home / ".gitconfig").write_text("[user]\n\tname = Mona\n\temail = mona@example.org\n")

    async def __call__(self, *argv: str, stdin: str = "", cwd: Path | None = None, expect: int | None = 0) -> Result:
        """Runs one command and checks its exit code (any, when `expect` is None)."""
        message = {"argv": argv, "stdin": stdin, "cwd": str(cwd or self.home), "env": self.environment}
        channel.send(self._outside, message)
        async with asyncio.timeout(TIMEOUT):
            answer, _ = await asyncio.to_thread(channel.receive, self._outside)
        result = Result(**answer)
        assert expect is None or result.code == expect, result
        return result


def certificate_for(*names: str) -> tuple[bytes, bytes]:
    """A self-signed certificate for host names and 127.0.0.1, and its key, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "The stand-in's tests")])
    now = datetime.now(UTC)
    addresses = [x509.IPAddress(IPv4Address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([*map(x509.DNSName, names), *addresses]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return (
        certificate.public_bytes(encoding),
        key.private_bytes(encoding, private, serialization.NoEncryption()),
    )


@pytest.fixture
async def namespace(tmp_path: Path) -> AsyncIterator[tuple[socket.socket, socket.socket]]:
    """The channel to a process in namespaces of its own, and its listener on port 443."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost github.com api.github.com\n")
    outside, inside = channel.pair()
    script = Path(__file__).with_name("namespace.py")
    process = await asyncio.create_subprocess_exec(
        "unshare", "-rmn", sys.executable, script, str(inside.fileno()), hosts, pass_fds=[inside.fileno()]
    )
    inside.close()
    outside.settimeout(TIMEOUT)
    _, (descriptor,) = await asyncio.to_thread(channel.receive, outside)
    yield outside, socket.socket(fileno=descriptor)
    outside.close()
    async with asyncio.timeout(TIMEOUT):
        assert await process.wait() == 0


@pytest.fixture
async def empty_github(
    tmp_path: Path, namespace: tuple[socket.socket, socket.socket]
) -> AsyncIterator[tuple[StandIn, Inside]]:
    """A stand-in that bare gh and git take for GitHub, and the place to run them in."""
    outside, listener = namespace
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    for path, content in zip((certificate, key), certificate_for("github.com", "api.github.com"), strict=True):
        path.write_bytes(content)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    standin = StandIn(tmp_path / "github", tls=tls, listener=listener)
    await standin.start()
    (tmp_path / "inside").mkdir()
    yield standin, Inside(outside, tmp_path / "inside", certificate)
    await standin.stop()


@pytest.fixture
async def github(empty_github: tuple[StandIn, Inside]) -> tuple[StandIn, Inside]:
    """The same with one user, a token and a repository."""
    standin, _ = empty_github
    standin.add_user("octocat", name="Mona Lisa", email="mona@example.org")
    standin.add_token(TOKEN, Token(login="octocat", kind=TokenKind.FINE_GRAINED))
    await standin.add_repository(REPOSITORY, permissions={"octocat": "push"})
    return empty_github
