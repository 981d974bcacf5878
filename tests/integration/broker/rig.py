"""A stand-in sandbox: its own network, where GitHub's hosts lead to the broker, and real tools run in it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from gitward.broker import OpenGrant
from gitward.grants import channel

_BASE = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "GIT_TERMINAL_PROMPT": "0", "LANG": "C.UTF-8"}
_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a command ended."""

    status: int
    out: str
    err: str


class Inside:
    """Commands in one network namespace, whose port 443 is `listener`."""

    def __init__(self, home: Path, pid: int, listener: socket.socket) -> None:
        self.home = home
        self.listener = listener
        self._pid = pid
        temporary = home / "tmp"  # gh keeps what it learned of a server there, for a day and for every test
        temporary.mkdir(exist_ok=True)
        self.env: dict[str, str] = {**_BASE, "HOME": str(home), "TMPDIR": str(temporary)}

    def trust(self, grant: OpenGrant) -> None:
        ca = self.home / "ca.pem"
        ca.write_bytes(grant.ca_pem)
        self.env |= {"SSL_CERT_FILE": str(ca), "GIT_SSL_CAINFO": str(ca), "CURL_CA_BUNDLE": str(ca)}

    def present(self, credential: str, *hosts: str) -> None:
        """Lets git send the credential without gh."""
        file = self.home / ".git-credentials"
        file.write_text("".join(f"https://x-access-token:{credential}@{host}\n" for host in hosts or ("github.com",)))
        (self.home / ".gitconfig").write_text(
            "[credential]\n\thelper = store\n[user]\n\tname = Dev\n\temail = dev@example.org\n"
            "[init]\n\tdefaultBranch = main\n[core]\n\tcompression = 0\n"
        )

    async def start(self, *argv: str, cwd: Path | None = None) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(
                "nsenter",
                "--preserve-credentials",
                "-U",
                "-n",
                "-m",
                "-t",
                str(self._pid),
                f"--wdns={cwd or self.home}",
                "--",
            ),
            *argv,
            env=self.env,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *argv: str, cwd: Path | None = None, text: str = "") -> Result:
        process = await self.start(*argv, cwd=cwd)
        async with asyncio.timeout(_SECONDS):
            out, err = await process.communicate(text.encode())
        assert process.returncode is not None
        return Result(status=process.returncode, out=out.decode(), err=err.decode())

    async def git(self, *argv: str, cwd: Path | None = None) -> Result:
        return await self.run("git", *argv, cwd=cwd)

    async def ok(self, *argv: str, cwd: Path | None = None) -> str:
        """The output of a command that must succeed."""
        result = await self.run(*argv, cwd=cwd)
        assert result.status == 0, f"{argv}: {result}"
        return result.out


@contextlib.asynccontextmanager
async def inside(home: Path, *hosts: str) -> AsyncIterator[Inside]:
    """A namespace in which `hosts` are at 127.0.0.1."""
    home.mkdir(parents=True, exist_ok=True)
    names = home / "hosts"
    names.write_text("127.0.0.1 localhost " + " ".join(hosts) + "\n")
    ours, theirs = channel.pair()
    with ours, theirs:
        process = await asyncio.create_subprocess_exec(
            *("unshare", "--user", "--map-root-user", "--net", "--mount", "--"),
            *(sys.executable, "-I", str(Path(__file__).with_name("namespace.py")), str(names)),
            stdin=theirs.fileno(),
            env={"PATH": _BASE["PATH"]},
        )
        theirs.close()
        try:
            _, fds = await asyncio.to_thread(channel.receive, ours)
            with socket.socket(fileno=fds[0]) as listener:
                yield Inside(home, process.pid, listener)
        finally:
            ours.close()
            async with asyncio.timeout(_SECONDS):
                assert await process.wait() == 0


async def commit(tools: Inside, checkout: Path, name: str, content: bytes) -> str:
    """Commits one file; its object id."""
    (checkout / name).write_bytes(content)
    await tools.ok("git", "add", "--", name, cwd=checkout)
    await tools.ok("git", "commit", "-q", "-m", f"add {name}", cwd=checkout)
    return (await tools.ok("git", "rev-parse", "HEAD", cwd=checkout)).strip()


def peak_memory(pid: int) -> int:
    """The most bytes that a process ever had resident."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024
