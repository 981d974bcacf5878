"""Removes the workspaces of this machine that nobody needs: the next run of such a session clones again."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from gitward.runs.storage.workspace_names import session_of
from gitward.sandboxes import workspace_removal
from gitward.sandboxes.workspace_lock import StillAlive
from gitward.sessions.model import FINAL_STATES, now
from gitward.store import schema
from gitward.store.database import Database, Transaction

log = logging.getLogger(__name__)

_sessions, _runs = schema.sessions, schema.runs
_AT_ONCE = 200


async def remove_idle(database: Database, workspaces: Path, *, hours: int, at: datetime | None = None) -> int:
    """Removes the workspaces that were idle for so long, and those whose session is gone; says how many."""
    before = (at or now()) - timedelta(hours=hours)
    removed = 0
    for workspace in await _idle(database, workspaces, before):
        aside = workspace if workspace_removal.is_aside(workspace) else await _set_aside(database, workspace, before)
        if aside is not None and await _remove(aside):
            removed += 1
    if removed:
        log.info("Removed %d workspace(s) that were idle for %d hours", removed, hours)
    return removed


async def _idle(database: Database, workspaces: Path, before: datetime) -> list[Path]:
    """Candidates: looked at again before anything is removed."""
    folders = await asyncio.to_thread(_folders, workspaces, before)
    idle = []
    for start in range(0, len(folders), _AT_ONCE):
        some = folders[start : start + _AT_ONCE]
        sessions = await asyncio.to_thread(lambda paths: [session_of(path) for path in paths], some)
        needed = await database.read(partial(_needed, sessions, before))
        idle += [path for path, session in zip(some, sessions, strict=True) if session not in needed]
    return idle


def _folders(workspaces: Path, before: datetime) -> list[Path]:
    """Only folders that did not change lately: a session without a row may be another database's."""
    found = []
    with os.scandir(workspaces) as entries:
        for entry in entries:
            status = entry.stat(follow_symlinks=False)
            changed = datetime.fromtimestamp(status.st_mtime, UTC)
            if stat.S_ISDIR(status.st_mode) and (changed < before or workspace_removal.is_aside(Path(entry.path))):
                found.append(Path(entry.path))
    return sorted(found)


def _needed(session_ids: Sequence[str], before: datetime, tx: Transaction) -> set[str]:
    """Those that have a run which has not ended, or were used since."""
    active = sa.exists(
        sa.select(_runs.c.id).where(_runs.c.session_id == _sessions.c.id, _runs.c.state.not_in(FINAL_STATES))
    )
    query = sa.select(_sessions.c.id).where(_sessions.c.id.in_(session_ids))
    return set(tx.execute(query.where(sa.or_(_sessions.c.updated_at >= before, active))).scalars())


async def _set_aside(database: Database, workspace: Path, before: datetime) -> Path | None:
    """Under the session row's lock, which a run needs to be posted and to be taken."""

    session = await asyncio.to_thread(session_of, workspace)

    def set_aside(tx: Transaction) -> Path | None:
        tx.execute(sa.select(_sessions.c.id).where(_sessions.c.id == session).with_for_update())
        return None if _needed([session], before, tx) else workspace_removal.set_aside(workspace)

    return await database.write(set_aside)


async def _remove(aside: Path) -> bool:
    try:
        await asyncio.to_thread(workspace_removal.remove, aside)
    except (OSError, StillAlive) as error:
        log.warning("The workspace %s cannot be removed yet (%s)", aside.name, error)
        return False
    return True
