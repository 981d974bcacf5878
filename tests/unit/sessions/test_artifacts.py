"""Artifacts are kept whole, in bounded pieces, of the newest run that has one."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from gitward.sessions import artifacts
from gitward.sessions.artifacts import MAX_BYTES, PIECE_BYTES, Origin
from gitward.sessions.model import RUN_KINDS, ArtifactKind, Instruction, Owner
from gitward.store import schema
from tests_support import Backend

PATCH, DIFF = ArtifactKind.PATCH, ArtifactKind.DIFF


async def keep(backend: Backend, run_id: str, content: bytes, kind: ArtifactKind = PATCH, *, attempt: int = 1) -> None:
    with backend.database.transaction() as tx:
        artifacts.store(tx, Origin(run_id=run_id, attempt=attempt), kind, content)


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


async def test_the_whole_of_an_artifact_is_read_at_once(backend: Backend, alice: Owner) -> None:
    run = (await backend.create(alice)).runs[0]
    origin = Origin(run_id=run.id, attempt=1)
    await keep(backend, run.id, b"x" * (2 * PIECE_BYTES + 1))
    await keep(backend, run.id, b"", DIFF)
    with backend.database.snapshot() as tx:
        assert artifacts.content(tx, origin, PATCH) == b"x" * (2 * PIECE_BYTES + 1)
        assert artifacts.content(tx, origin, DIFF) == b""
        assert artifacts.content(tx, origin, ArtifactKind.BUNDLE) is None


@pytest.mark.parametrize("kind", RUN_KINDS)
async def test_a_run_has_kinds_of_its_own_when_one_of_them_was_kept(
    backend: Backend, alice: Owner, kind: ArtifactKind
) -> None:
    """One that is too long is not there; the whole branch's does not stand in for it."""
    run = (await backend.create(alice)).runs[0]
    origin = Origin(run_id=run.id, attempt=1)
    await keep(backend, run.id, b"whole", kind)
    with backend.database.snapshot() as tx:
        assert artifacts.of_run(tx, origin, kind) is kind
    await keep(backend, run.id, b"another attempt's", RUN_KINDS[kind], attempt=2)
    with backend.database.snapshot() as tx:
        assert artifacts.of_run(tx, origin, kind) is kind
    await keep(backend, run.id, b"own", ArtifactKind.RUN_PATCH)
    with backend.database.snapshot() as tx:
        assert artifacts.of_run(tx, origin, kind) is RUN_KINDS[kind]
