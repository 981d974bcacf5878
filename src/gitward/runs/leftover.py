"""Whose work lies in a workspace and is not kept yet: a line beside the checkout, where no sandbox sees it.

It is written when an attempt stands on its branch, and removed when its work is published, kept, or nothing. So the
next attempt on this machine knows what a lost one has left.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from dataclasses import asdict
from pathlib import Path

from gitward.sessions.artifacts import Origin

log = logging.getLogger(__name__)

_NAME = "leftover"


async def note(workspace: Path, origin: Origin) -> None:
    """From here on the checkout holds work of `origin`. On a full disk it is not noted: then only a loss loses it."""
    try:
        await asyncio.to_thread(_write, workspace, json.dumps(asdict(origin)))
    except OSError as error:
        log.warning("Run %s: its workspace could not be marked: %s", origin.run_id, error)


def _write(workspace: Path, text: str) -> None:
    temporary = workspace / f"{_NAME}.new"
    temporary.write_text(text)
    temporary.replace(workspace / _NAME)


async def find(workspace: Path) -> Origin | None:
    """Whose work is there and is not kept."""
    try:
        text = await asyncio.to_thread((workspace / _NAME).read_text)
        return Origin(**json.loads(text))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):
        log.exception("The mark of %s cannot be read", workspace.name)
        return None


async def forget(workspace: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        await asyncio.to_thread((workspace / _NAME).unlink)
