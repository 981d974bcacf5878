"""What agents remember of a session, in the database: at most one conversation of each agent, gone with its session.

It belongs to the session, so to its owner alone; no route serves it.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from gitward.sessions import artifacts
from gitward.sessions.artifacts import Origin
from gitward.sessions.model import ArtifactKind
from gitward.store import schema
from gitward.store.database import Transaction

_artifacts, _runs = schema.artifacts, schema.runs


def keep(tx: Transaction, session_id: str, agent: str, origin: Origin, content: bytes) -> None:
    """In place of what the session had of this agent. Content beyond `artifacts.MAX_BYTES` is an error."""
    forget(tx, session_id, agent)
    artifacts.store(tx, origin, ArtifactKind.CONVERSATION, content)


def find(tx: Transaction, session_id: str, agent: str) -> bytes | None:
    """What the agent remembers; None: nothing."""
    for origin in _kept(tx, session_id, agent):
        return artifacts.content(tx, origin, ArtifactKind.CONVERSATION)
    return None


def forget(tx: Transaction, session_id: str, agent: str) -> None:
    for origin in list(_kept(tx, session_id, agent)):
        artifacts.drop(tx, origin, ArtifactKind.CONVERSATION)


def _kept(tx: Transaction, session_id: str, agent: str) -> Iterator[Origin]:
    """The newest first."""
    query = (
        sa.select(_artifacts.c.run_id, _artifacts.c.attempt, _runs.c.instruction)
        .join(_runs, _artifacts.c.run_id == _runs.c.id)
        .where(_runs.c.session_id == session_id, _artifacts.c.kind == ArtifactKind.CONVERSATION)
        .where(_artifacts.c.piece == 0)
        .order_by(_runs.c.number.desc(), _artifacts.c.attempt.desc())
    )
    for row in tx.execute(query).all():
        if (row.instruction or {}).get("agent") == agent:
            yield Origin(run_id=row.run_id, attempt=row.attempt)
