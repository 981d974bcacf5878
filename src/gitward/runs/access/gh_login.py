"""What `gh auth login` stores in a sandbox's home, and how it is removed."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from urllib.parse import urlsplit

from gitward.runs.attempt import Attempt
from gitward.runs.commands.runner import HOME
from gitward.sandboxes import Command, Sandbox, SandboxError, foreign_folders

log = logging.getLogger(__name__)

LOGOUT_SECONDS = 10.0
QUIET = {"GH_PROMPT_DISABLED": "1", "GH_NO_UPDATE_NOTIFIER": "1"}  # gh asks nothing and looks for no release


async def log_out(attempt: Attempt, sandbox: Sandbox) -> None:
    """In `login` mode: gh forgets the token. Wiping the home afterwards is what counts, so a failure is only logged."""
    host = urlsplit(attempt.services.settings.server_url).netloc
    argv = ("gh", "auth", "logout", "--hostname", host)
    try:
        ended = await sandbox.run(Command(argv=argv, env=QUIET, cwd=HOME, timeout_seconds=LOGOUT_SECONDS, last=True))
    except SandboxError as error:
        log.warning("Run %s: gh auth logout could not run: %s", attempt.run.id, error)
        return
    if ended.exit_code != 0:
        log.warning("Run %s: gh auth logout ended with exit code %d", attempt.run.id, ended.exit_code)


async def wipe(workspace: Path) -> None:
    """Empties the sandbox's home outside, where gh keeps what it was given. Nothing may be running in it."""
    try:
        await asyncio.to_thread(foreign_folders.clear, workspace / "home")
    except FileNotFoundError:
        return
    except OSError:
        log.exception("The home of %s could not be wiped", workspace.name)


async def wipe_all(workspaces: Path) -> None:
    """At the start of a worker: what a killed one left behind."""
    for workspace in await asyncio.to_thread(lambda: sorted(workspaces.iterdir())):
        await wipe(workspace)
