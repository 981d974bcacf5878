"""The programs that runs need, where their sandbox looks for them."""

from __future__ import annotations

import shutil

from gitward.cli.tools import PACKAGES
from gitward.errors import SettingsError
from gitward.sandboxes.plan import SEARCH_PATH, tool_folders
from gitward.settings.fields import Settings

_OURS = "bwrap"  # which the service itself starts


def path_of(program: str, settings: Settings) -> str | None:
    if program == _OURS:
        return shutil.which(program)
    return shutil.which(program, path=":".join([*tool_folders(settings.tool_paths), *SEARCH_PATH]))


def missing(program: str) -> str:
    """What to do about a program that is not there."""
    return f"not found; on Debian: apt-get install {PACKAGES[program]}"


def check_programs(settings: Settings) -> None:
    """:raises SettingsError: one is not there, without which no run succeeds."""
    lacking = [program for program in ("git", "gh") if path_of(program, settings) is None]
    if lacking:
        raise SettingsError([f"{program}: {missing(program)}" for program in lacking])
