"""The README's quick start, word for word; only the port differs, because 8000 may be in use here."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import tempfile
from pathlib import Path

from gitward.settings.environment import clean_environment
from gitward_standin import StandIn, Token
from rig import LOGIN, RUN_SECONDS

ROOT = Path(__file__).parents[2]
TOKEN = "ghp_" + "R3adm3" * 6


def quick_start() -> str:
    """The two shell blocks under the heading: the terminal's is run while the server of the first still serves."""
    text = (ROOT / "README.md").read_text().partition("\n## Quick start\n")[2].partition("\n## ")[0]
    with_curl, in_terminal = re.findall(r"^```sh$\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    before, kill, after = with_curl.rpartition('kill "$SERVER"')
    assert kill
    return f"{before}{in_terminal}{kill}{after}"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def test_the_quick_start_works_as_it_is_written() -> None:
    script, port = quick_start(), free_port()
    assert (
        'curl -X POST http://localhost:8000/sessions -H "Authorization: Bearer $JWT" '
        """-d '{"repo":"owner/repo","target_branch":"main"}'"""
    ) in script
    folder = Path(tempfile.mkdtemp(prefix="gitward-readme-"))
    folder.chmod(0o711)
    github = StandIn(folder / "github")
    try:
        await github.start()
        github.add_user(LOGIN)
        github.add_token(TOKEN, Token(login=LOGIN))
        repository = await github.add_repository("owner/repo", permissions={LOGIN: "push"})
        _clone(folder / "clone")
        code, out = await _bash(script.replace("localhost:8000", f"localhost:{port}"), folder, github, port)
    finally:
        await github.stop()
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    assert code == 0, out
    assert "Successfully read GitHub token from environment" in out
    assert "event: run.ended" in out
    assert "+hello" in out
    assert "publish       succeeded" in out
    assert len(repository.pulls) == 2
    assert TOKEN not in out


def _clone(folder: Path) -> None:
    """A stand-in for this clone: the quick start writes files, and must not write them there."""
    (folder / "scripts").mkdir(parents=True)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    (folder / "scripts" / "setup").write_text(f"#!/bin/sh\nexec '{ROOT}/scripts/setup'\n")
    (folder / "scripts" / "setup").chmod(0o755)


async def _bash(script: str, folder: Path, github: StandIn, port: int) -> tuple[int | None, str]:
    settings = {
        "GITHUB_TOKEN": TOKEN,
        "GITWARD_DATA_DIR": str(folder / "data"),
        "GITWARD_UPSTREAM_URL": github.url,
        "GITWARD_UPSTREAM_API_URL": github.api_url,
        "GITWARD_PORT": str(port),
        "GITWARD_URL": f"http://127.0.0.1:{port}",
        "XDG_CONFIG_HOME": str(folder / "config"),
    }
    process = await asyncio.create_subprocess_exec(
        *("bash", "-e", "-c", script + '\nwait "$SERVER"'),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=folder / "clone",
        env=clean_environment(**settings),
    )
    async with asyncio.timeout(RUN_SECONDS):
        out, _ = await process.communicate()
    return process.returncode, out.decode(errors="replace")
