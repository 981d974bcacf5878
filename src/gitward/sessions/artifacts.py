"""Patches, diffs and bundles in the database, in bounded pieces, so that any API process serves them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import sqlalchemy as sa

from gitward.sessions.model import ArtifactKind
from gitward.store import schema
from gitward.store.database import Transaction

MAX_BYTES = 10 * 1024 * 1024  # of one artifact
PIECE_BYTES = 256 * 1024

_artifacts, _runs = schema.artifacts, schema.runs


async def keep(tx: Transaction, run_id: str, kind: ArtifactKind, content: bytes) -> None:
    """Stores an artifact of a run in place of an earlier one of its kind. Content beyond MAX_BYTES is an error."""
    if len(content) > MAX_BYTES:
        raise ValueError(f"an artifact of {len(content)} bytes; at most {MAX_BYTES} are allowed")
    await tx.execute(sa.delete(_artifacts).where(_artifacts.c.run_id == run_id, _artifacts.c.kind == kind))
    rows = [
        {"run_id": run_id, "kind": kind, "piece": number, "content": content[start : start + PIECE_BYTES]}
        for number, start in enumerate(range(0, len(content), PIECE_BYTES))
    ]
    await tx.execute(sa.insert(_artifacts), rows or [{"run_id": run_id, "kind": kind, "piece": 0, "content": b""}])


async def latest(tx: Transaction, session_id: str, kind: ArtifactKind) -> str | None:
    """The id of the newest run of the session that has an artifact of this kind."""
    query = (
        sa.select(_runs.c.id)
        .join(_artifacts, sa.and_(_artifacts.c.run_id == _runs.c.id, _artifacts.c.kind == kind))
        .where(_runs.c.session_id == session_id, _artifacts.c.piece == 0)
        .order_by(_runs.c.number.desc())
        .limit(1)
    )
    return (await tx.execute(query)).scalar()


async def read(tx: Transaction, run_id: str, kind: ArtifactKind) -> AsyncIterator[bytes]:
    """The pieces in their order; one at a time is in memory."""
    query = sa.select(_artifacts.c.content).where(_artifacts.c.run_id == run_id, _artifacts.c.kind == kind)
    count = sa.select(sa.func.count()).select_from(query.subquery())
    for number in range((await tx.execute(count)).scalar_one()):
        yield (await tx.execute(query.where(_artifacts.c.piece == number))).scalar_one()
