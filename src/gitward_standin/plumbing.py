"""Runs the git that keeps the stand-in's repositories, in an environment that is all our own."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

TIMEOUT = 60.0  # seconds for one command

# What GitHub's git allows, and nothing that leaves processes behind (no automatic gc).
_CONFIG = """\
[safe]
	directory = *
[user]
	name = GitHub
	email = noreply@github.com
[core]
	hooksPath = {hooks}
[gc]
	auto = 0
[http]
	receivepack = true
[uploadpack]
	allowFilter = true
	allowAnySHA1InWant = true
[receive]
	advertisePushOptions = true
	autogc = false
	hideRefs = refs/pull
"""


class GitFailed(Exception):
    """A git command failed; the text holds its standard error."""

    def __init__(self, arguments: Sequence[str], code: int, stderr: bytes) -> None:
        super().__init__(f"git {' '.join(arguments)} exited {code}: {stderr.decode(errors='replace').strip()}")
        self.code = code


class Git:
    """git with the configuration of one stand-in. `home` is a folder of its own."""

    def __init__(self, home: Path) -> None:
        executable = shutil.which("git")
        if executable is None:
            raise FileNotFoundError("git is not installed")
        self.executable = executable
        self.home = home
        self.hooks = home / "hooks"
        self.environment: Mapping[str, str] = {
            "PATH": f"{Path(executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
        }

    def prepare(self) -> None:
        """Writes the configuration."""
        self.hooks.mkdir(parents=True, exist_ok=True)
        (self.home / "gitconfig").write_text(_CONFIG.format(hooks=self.hooks))

    async def run(self, *arguments: str, cwd: Path, stdin: bytes = b"") -> bytes:
        """The command's standard output. Raises GitFailed; TimeoutError after TIMEOUT."""
        process = await asyncio.create_subprocess_exec(
            self.executable,
            *arguments,
            cwd=cwd,
            env=self.environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(TIMEOUT):
                stdout, stderr = await process.communicate(stdin)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            raise GitFailed(arguments, process.returncode or 0, stderr)
        return stdout
