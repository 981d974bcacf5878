"""The quick starts of the README and of its own page, word for word; only the port differs: 8000 may be in use here."""

from __future__ import annotations

import asyncio
import shutil
import socket
import tempfile
from pathlib import Path

import pytest

from command_line import gitward
from documented import blocks, code, shell
from gitward.settings.environment import clean_environment
from gitward_standin import StandIn, Token
from rig import LOGIN, RUN_SECONDS

ROOT = Path(__file__).parents[2]
TOKEN = "ghp_" + "R3adm3" * 6


def quick_start() -> str:
    """The shell block of the README."""
    (script,) = (
        block.text
        for block in blocks("README.md")
        if block.section == "README.md#quick-start" and block.language == "sh"
    )
    return script


def longer_quick_start() -> str:
    """Both ways of docs/quick-start.md: the terminal's while the service of the first still serves."""
    return shell("docs/quick-start.md", "by-http") + shell("docs/quick-start.md", "in-the-terminal")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.parametrize(("script", "pulls"), [(quick_start(), 1), (longer_quick_start(), 2)], ids=["readme", "page"])
async def test_the_quick_start_works_as_it_is_written(script: str, pulls: int) -> None:
    port = free_port()
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
    assert ("event: run.ended" in out) == (pulls == 2)
    assert ("+hello" in out) == (pulls == 2)
    assert "publish       succeeded" in out
    assert len(repository.pulls) == pulls
    assert TOKEN not in out


async def test_the_readme_shows_what_the_demo_prints(tmp_path: Path) -> None:
    shown = code("README.md", "gitward", "console").splitlines()
    assert shown[0] == "$ scripts/demo"
    status, out, _ = await gitward("demo", cwd=tmp_path)
    printed = out.splitlines()
    assert status == 0
    assert [line for line in printed if line in shown] == shown[1:]


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
