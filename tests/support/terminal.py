"""A person's terminal: the client as a process of its own, and clones whose remotes look like GitHub's."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from command_line import gitward
from gitward_standin import Repository
from rig import Rig

Json = dict[str, Any]


class Terminal:
    """One person's shell: a folder, a configuration and a service."""

    def __init__(self, there: Rig, folder: Path, *, subject: str = "alice") -> None:
        self.folder = folder
        self.environment = {
            "GITWARD_URL": there.url,
            "GITWARD_JWT": there.jwt(subject),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "BROWSER": "true",
            "GIT_CONFIG_GLOBAL": str(folder / "gitconfig"),
        }
        (folder / "gitconfig").write_text("[user]\n name = A\n email = a@example.com\n")

    async def __call__(self, *arguments: str, code: int = 0, cwd: Path | None = None, **environment: Any) -> str:
        given = {**self.environment, **environment}
        exit_code, out, err = await gitward(*arguments, cwd=cwd or self.folder, **given)
        assert exit_code == code, (exit_code, out, err)
        assert "Traceback" not in err, err
        assert self.environment["GITWARD_JWT"] not in out + err
        return out if code == 0 else out + err

    async def documents(self, *arguments: str, code: int = 0) -> list[Json]:
        out = await self(*arguments, "--json", code=code)
        return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


async def clone(repository: Repository, folder: Path) -> Path:
    """A clone whose remote is written as GitHub's is, and leads to the stand-in."""
    address = f"https://github.com/{repository.full_name}.git"
    for argv in (
        ("clone", "--quiet", str(repository.path), str(folder)),
        ("-C", str(folder), "remote", "set-url", "origin", address),
        ("-C", str(folder), "config", f"url.{repository.path}.insteadOf", address),
    ):
        process = await asyncio.create_subprocess_exec("git", *argv)
        assert await process.wait() == 0
    return folder


async def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    argv = ("git", "-C", str(folder), *identity, *arguments)
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode().strip()
