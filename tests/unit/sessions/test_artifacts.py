"""Artifacts are kept whole, in bounded pieces, of the newest run that has one."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from gitward.sessions import artifacts
from gitward.sessions.artifacts import MAX_BYTES, PIECE_BYTES, Origin
from gitward.sessions.model import ArtifactKind, Instruction, Owner
from gitward.store import schema
from tests_support import Backend

PATCH, DIFF = ArtifactKind.PATCH, ArtifactKind.DIFF


async def keep(backend: Backend, run_id: str, content: bytes, kind: ArtifactKind = PATCH, *, attempt: int = 1) -> None:
    with backend.database.transaction() as tx:
        artifacts.keep(tx, Origin(run_id=run_id, attempt=attempt), kind, content)


async def read(backend: Backend, run_id: str, kind: ArtifactKind = PATCH, *, attempt: int = 1) -> list[bytes]:
    with backend.database.snapshot() as tx:
        return list(artifacts.read(tx, Origin(run_id=run_id, attempt=attempt), kind))


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES, MAX_BYTES])
async def test_what_is_kept_comes_back_in_bounded_pieces(backend: Backend, alice: Owner, size: int) -> None:
    run = (await backend.create(alice)).runs[0]
    content = bytes(range(251)) * (size // 251) + b"\0" * (size % 251)
    await keep(backend, run.id, content)
    pieces = await read(backend, run.id)
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) <= PIECE_BYTES


async def test_more_than_the_bound_is_refused(backend: Backend, alice: Owner) -> None:
    run = (await backend.create(alice)).runs[0]
    with pytest.raises(ValueError, match="at most 10485760"):
        await keep(backend, run.id, b"x" * (MAX_BYTES + 1))


async def test_a_shorter_one_replaces_a_longer_one_whole(backend: Backend, alice: Owner) -> None:
    """An attempt that comes later keeps its own; nothing of the earlier one is left, and no other kind is touched."""
    run = (await backend.create(alice)).runs[0]
    await keep(backend, run.id, b"diff", DIFF)
    await keep(backend, run.id, b"x" * (2 * PIECE_BYTES))
    await keep(backend, run.id, b"short")
    assert await read(backend, run.id) == [b"short"]
    assert await read(backend, run.id, DIFF) == [b"diff"]
    with backend.database.snapshot() as tx:
        assert tx.execute(sa.select(sa.func.count()).select_from(schema.artifacts)).scalar_one() == 2


async def test_the_latest_is_that_of_the_newest_run_that_has_one(backend: Backend, alice: Owner) -> None:
    session = await backend.create(alice)
    with backend.database.transaction() as tx:
        second = backend.sessions.add_run(tx, alice, session.id, Instruction())
        assert artifacts.latest(tx, session.id, PATCH) is None
    await keep(backend, second.id, b"diff", DIFF)
    await keep(backend, session.runs[0].id, b"first")
    with backend.database.snapshot() as tx:
        assert artifacts.latest(tx, session.id, PATCH) == Origin(run_id=session.runs[0].id, attempt=1)
    await keep(backend, second.id, b"")
    with backend.database.snapshot() as tx:
        assert artifacts.latest(tx, session.id, PATCH) == Origin(run_id=second.id, attempt=1)
    assert await read(backend, second.id) == [b""]
