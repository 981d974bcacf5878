"""What is transferred: repositories of data that does not compress, and the git commands that move them."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from gitward.sandboxes.bwrap_process import NICENESS
from gitward.settings.environment import clean_environment

MEGABYTE = 1_000_000
BIG, SMALL, PUSHED = "bench/big", "bench/small", "bench/pushed"
BRANCH = "gitward/bench"
_SECONDS = 300.0  # for one command


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way from a client to the upstream."""

    name: str
    url: str  # of the server that git is told, without a path
    ca: Path
    credential: str
    pid: int | None = None  # of the process in between, with its children

    def remote(self, repository: str) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://x-access-token:{self.credential}@{parts.netloc}/{repository}.git"


def environment(home: Path) -> dict[str, str]:
    """git's, with no configuration but ours: what is random need not be compressed, nor checked out twice."""
    return clean_environment(HOME=str(home), GIT_CONFIG_NOSYSTEM="1", GIT_TERMINAL_PROMPT="0")


async def git(home: Path, *arguments: str) -> float:
    """Seconds that a git command took, as nice as in a sandbox. Raises RuntimeError when it fails."""
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *("nice", "-n", str(NICENESS), "git", "-c", "gc.auto=0", *arguments),
        env=environment(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    async with asyncio.timeout(_SECONDS):
        output, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"git {arguments[0]} failed: {output.decode(errors='replace')[-500:]}")
    return time.monotonic() - began


async def clone(root: Path, way: Way, repository: str, *options: str) -> float:
    """Seconds of one clone, which is removed again."""
    into = root / "clone"
    try:
        trust = ("-c", f"http.sslCAInfo={way.ca}")
        return await git(root, *trust, "clone", "--quiet", *options, "--", way.remote(repository), str(into))
    finally:
        await asyncio.to_thread(shutil.rmtree, into, ignore_errors=True)


async def push(root: Path, way: Way) -> float:
    """Seconds of one push to a branch that does not exist upstream."""
    await asyncio.to_thread(_fresh, root)
    trust, checkout = ("-c", f"http.sslCAInfo={way.ca}"), ("-C", str(root / "checkout"))
    return await git(root, *checkout, *trust, "push", "--quiet", "--", way.remote(PUSHED), f"HEAD:refs/heads/{BRANCH}")


async def calls(way: Way, *, until: asyncio.Future[Any]) -> list[float]:
    """Seconds that each of many small API calls took, on one connection, until something else is done."""
    tls = ssl.create_default_context(cafile=way.ca)
    taken = []
    async with httpx2.AsyncClient(verify=tls, trust_env=False, timeout=30) as http:
        while not until.done():
            began = time.monotonic()
            answer = await http.get(
                f"{way.url}/api/v3/rate_limit", headers={"Authorization": f"Bearer {way.credential}"}
            )
            answer.raise_for_status()
            taken.append(time.monotonic() - began)
            await asyncio.sleep(0.02)
    return taken


def _fresh(root: Path) -> None:
    """The upstream's repository as it was before any push."""
    repository = root / "repositories" / f"{PUSHED}.git"
    shutil.rmtree(repository, ignore_errors=True)
    _run("init", "--quiet", "--bare", "--", str(repository))


def _run(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True, timeout=_SECONDS, env=environment(Path("/")))


def repositories(root: Path, *, big: int, files: int, pushed: int) -> None:
    """Makes them: a pack of `big` bytes, `files` small files, and a checkout with `pushed` bytes to push."""
    piece = 10 * MEGABYTE
    _repository(root / "repositories" / f"{BIG}.git", (os.urandom(piece) for _ in range(big // piece)))
    size = random.Random(1).randint  # noqa: S311 - sizes of files, the same in each run
    _repository(root / "repositories" / f"{SMALL}.git", (os.urandom(size(200, 3000)) for _ in range(files)))
    _repository(root / "checkout", (os.urandom(piece) for _ in range(pushed // piece)))


def _repository(path: Path, contents: Iterator[bytes]) -> None:
    """A bare repository with one commit, in one pack."""
    _run("init", "--quiet", "--bare", "--initial-branch=main", "--", str(path))
    command = ["git", "-C", str(path), "-c", "core.compression=0", "-c", "fastimport.unpackLimit=0", "fast-import"]
    process = subprocess.Popen([*command, "--quiet"], stdin=subprocess.PIPE, env=environment(Path("/")))
    assert process.stdin is not None
    with process, process.stdin as stream:
        stream.write(b"commit refs/heads/main\ncommitter Bench <bench@example.org> 1700000000 +0000\ndata 5\nbench\n")
        for number, content in enumerate(contents):
            name = f"{number % 100:02}/{number}"
            stream.write(b"M 100644 inline %b\ndata %d\n%b\n" % (name.encode(), len(content), content))
    if process.returncode != 0:
        raise RuntimeError("git fast-import failed")
