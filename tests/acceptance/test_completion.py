"""Completion of the command line, asked as the shells ask; in bash really."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from gitward.settings.environment import clean_environment

PROGRAM = Path(sys.executable).with_name("gitward")  # the shells ask the program by its name
SECONDS = 120.0


async def said(*argv: str, **environment: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, env={**clean_environment(), **environment}
    )
    async with asyncio.timeout(SECONDS):
        out, _ = await process.communicate()
    return out.decode()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("gitward", "che"), {"checkout"}),
        (("gitward", "mirrors", ""), {"list", "drop"}),
        (("gitward", "run", "--fo"), {"--follow"}),
    ],
)
async def test_bash_completes(words: tuple[str, ...], offered: set[str]) -> None:
    line = " ".join(f"'{word}'" for word in words)
    script = (
        f'eval "$(_GITWARD_COMPLETE=source_bash {PROGRAM})"; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; '
        f'_gitward_completion {PROGRAM}; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    assert set((await said("bash", "--norc", "-c", script)).split()) == offered


@pytest.mark.parametrize("shell", ["zsh", "fish"])
async def test_other_shells_are_answered_and_get_their_script(shell: str) -> None:
    asked = {"_GITWARD_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": "gitward follow"}
    assert "follow-up" in await said(str(PROGRAM), **asked, _TYPER_COMPLETE_FISH_ACTION="get-args")
    script = await said(str(PROGRAM), _GITWARD_COMPLETE=f"source_{shell}")
    assert f"complete_{shell}" in script
