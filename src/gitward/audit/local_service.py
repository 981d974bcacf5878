"""A stand-in GitHub in this process, and the real service as a child process: for the demo and the audit."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from gitward.errors import GitwardError
from gitward.identity.keys import load_or_make_key, mint
from gitward.settings.environment import clean_environment
from gitward_standin import StandIn, Token

OWNER, REPOSITORY = "octocat", "octocat/hello-world"
SUBJECT = "demo"  # whose sessions they are, in the API and in the page
START_SECONDS = 30.0
STOP_SECONDS = 20.0
_FILES = {
    "README.md": "# Hello, world\n\nThis repository lives in a stand-in GitHub on your machine.\n",
    "hello.py": 'print("Hello, world")\n',
}


class DemoError(GitwardError):
    """The demo could not be set up; the text says what to look at."""


@dataclass(frozen=True, kw_only=True)
class World:
    """A running service, and the GitHub that it talks to."""

    github: StandIn
    service_url: str
    jwt: str
    sign_in_link: str  # works once, within 10 minutes of the start
    data: Path  # the service's data folder
    log: Path  # what it writes to standard error
    pid: int  # of the service


@contextlib.asynccontextmanager
async def world(token: str, **settings: str) -> AsyncIterator[World]:
    """Starts both, and removes every trace at the end.

    :param token: what the stand-in shall accept.
    :param settings: more of them for the service, by their names in the environment.
    """
    root = Path(tempfile.mkdtemp(prefix="gitward-demo-"))
    root.chmod(0o711)  # the sandbox's own user passes through
    github = StandIn(root / "github", public_url="https://github.example")  # no link of the demo leads anywhere real
    try:
        await github.start()
        github.add_user(OWNER, name="The Octocat")
        github.add_token(token, Token(login=OWNER))
        await github.add_repository(REPOSITORY, files=_FILES, permissions={OWNER: "admin"})
        data, log = root / "data", root / "service.log"
        own = {
            "GITHUB_TOKEN": token,
            "GITWARD_DATA_DIR": str(data),
            "GITWARD_UPSTREAM_URL": github.url,
            "GITWARD_UPSTREAM_API_URL": github.api_url,
            "GITWARD_PORT": "0",
            "GITWARD_LOCAL_SUBJECT": SUBJECT,
        }
        async with _service(log, own | settings) as (url, link, pid):
            jwt = mint(load_or_make_key(data), subject=SUBJECT, audience="gitward")
            yield World(github=github, service_url=url, jwt=jwt, sign_in_link=link, data=data, log=log, pid=pid)
    finally:
        await github.stop()
        await asyncio.to_thread(shutil.rmtree, root, ignore_errors=True)


def made_up_token() -> str:
    """A value in the shape of a classic token, which GitHub has never issued."""
    return "ghp_" + secrets.token_urlsafe(27).replace("-", "a").replace("_", "b")


@contextlib.asynccontextmanager
async def _service(log: Path, settings: dict[str, str]) -> AsyncIterator[tuple[str, str, int]]:
    """`gitward serve` with its own data folder; the address and the link that it prints, and its process id."""
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gitward", "serve"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            env=clean_environment(**settings),
            cwd=log.parent,
        )
    try:
        address = await _told(process, log, "Gitward is ready at ")
        yield address, await _told(process, log, "Sign in, once, within 10 minutes: "), process.pid
    finally:
        await _stop(process)


async def _told(process: asyncio.subprocess.Process, log: Path, before: str) -> str:
    """The rest of the next line that it prints."""
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            line = await process.stdout.readline()
    except TimeoutError:
        line = b""
    text = line.decode(errors="replace").strip()
    if not text.startswith(before):
        tail = log.read_text(errors="replace").strip()[-2000:]
        raise DemoError(f"The service did not start. Its log ends with:\n{tail}")
    return text.removeprefix(before)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
