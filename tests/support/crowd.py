"""Many sessions at once, by plain SQL: what is tested is what they cost others."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from gitward.sessions.model import Owner, RunState, new_id, now
from gitward.sessions.places import owner_digest
from gitward.store import schema
from tests_support import Backend

Row = dict[str, Any]


async def crowd(
    backend: Backend,
    owner: Owner,
    count: int,
    *,
    state: RunState = RunState.QUEUED,
    at: datetime | None = None,
    events: int = 0,
) -> list[str]:
    """Sessions with one run each, that wait for a place, or have ended; their ids."""
    at = at or now()
    sessions, runs = [new_id("ses") for _ in range(count)], [new_id("run") for _ in range(count)]
    plain: Row = {"repo": "acme/crowd", "repo_key": "acme/crowd", "title": "t", "labels": [], "submodules": []}
    plain |= {"allow_workflows": False, "environment": "host", "state": state, "archived": False}
    plain |= {"issuer": owner.issuer, "subject": owner.subject, "last_seq": events}
    plain |= {"created_at": at, "updated_at": at}
    run: Row = {"number": 1, "state": state, "instruction": {}, "attempt": 0, "losses": 0}
    run |= {"output_truncated": False, "created_at": at, "ended_at": at if state.is_final else None}
    event: Row = {"at": at, "type": "output", "data": {"text": "x" * 100}}
    ticket: Row = {"owner": owner_digest(owner), "has_place": False, "waiting_since": at}
    pairs = list(zip(sessions, runs, strict=True))
    with backend.database.transaction() as tx:
        tx.execute(sa.insert(schema.sessions), [{**plain, "id": each, "branch": each} for each in sessions])
        tx.execute(sa.insert(schema.runs), [{**run, "id": each, "session_id": of} for of, each in pairs])
        if events:
            lines = [{**event, "session_id": each, "seq": seq + 1} for each in sessions for seq in range(events)]
            tx.execute(sa.insert(schema.events), lines)
        if state is RunState.QUEUED:
            tx.execute(sa.insert(schema.tickets), [{**ticket, "run_id": each} for each in runs])
    return sessions
