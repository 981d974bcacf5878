"""Patches, diffs and bundles in the database, in bounded pieces, so that any API process serves them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from gitward.sessions.model import RUN_KINDS, ArtifactKind, RunState
from gitward.store import schema
from gitward.store.database import Transaction

MAX_BYTES = 10 * 1024 * 1024  # of one artifact
PIECE_BYTES = 256 * 1024
_SO_FAR = "live_"  # before the kind of work that a running attempt keeps so far: nobody is shown it
_HEAD = "head"  # of the work so far
_PATHS = {ArtifactKind.SUBMODULES: "bundle?of=submodules&"}  # where it is, when not under its own name

_artifacts, _runs = schema.artifacts, schema.runs


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Whose work an artifact holds. What a later attempt keeps does not replace it."""

    run_id: str
    attempt: int


def store(tx: Transaction, origin: Origin, kind: ArtifactKind, content: bytes, *, so_far: bool = False) -> None:
    """Stores an artifact in place of an earlier one of its kind and origin. Content beyond MAX_BYTES is an error.

    :param so_far: the attempt goes on; nobody finds it, until the attempt is lost.
    """
    if len(content) > MAX_BYTES:
        raise ValueError(f"an artifact of {len(content)} bytes; at most {MAX_BYTES} are allowed")
    _store(tx, origin, f"{_SO_FAR}{kind}" if so_far else kind, content)


def _store(tx: Transaction, origin: Origin, kind: str, content: bytes) -> None:
    tx.execute(sa.delete(_artifacts).where(_is(origin, kind)))
    starts = range(0, len(content), PIECE_BYTES) or (0,)
    for number, start in enumerate(starts):  # one by one: so no more than one piece is copied at a time
        piece = content[start : start + PIECE_BYTES]
        row = {"run_id": origin.run_id, "attempt": origin.attempt, "kind": kind, "piece": number, "content": piece}
        tx.execute(sa.insert(_artifacts).values(**row))


def drop(tx: Transaction, origin: Origin, kind: ArtifactKind) -> None:
    tx.execute(sa.delete(_artifacts).where(_is(origin, kind)))


def name_so_far(tx: Transaction, origin: Origin, head: str) -> None:
    """Notes the commit of the work so far, when it is stored."""
    _store(tx, origin, f"{_SO_FAR}{_HEAD}", head.encode())


def end_so_far(tx: Transaction, run_id: str) -> None:
    """There is none any more, or the run has ended, and its work was taken as it was then."""
    tx.execute(sa.delete(_artifacts).where(_artifacts.c.run_id == run_id, _artifacts.c.kind.startswith(_SO_FAR)))


def adopt_so_far(tx: Transaction, origin: Origin) -> tuple[str, tuple[ArtifactKind, ...]] | None:
    """The attempt is lost: its work so far is its work. Its head and kinds; None: there is none."""
    head = b"".join(read(tx, origin, f"{_SO_FAR}{_HEAD}")).decode()
    this = (_artifacts.c.run_id == origin.run_id, _artifacts.c.attempt == origin.attempt)
    found = tx.execute(sa.select(_artifacts.c.kind).distinct().where(*this)).scalars().all()
    known = {f"{_SO_FAR}{kind}": kind for kind in ArtifactKind}
    kinds = tuple(sorted(known[each] for each in found if each in known))
    for kind in kinds:
        drop(tx, origin, kind)
        tx.execute(sa.update(_artifacts).where(_is(origin, f"{_SO_FAR}{kind}")).values(kind=kind))
    tx.execute(sa.delete(_artifacts).where(_is(origin, f"{_SO_FAR}{_HEAD}")))
    return (head, kinds) if head and kinds else None


def kept_event(session_id: str, origin: Origin, head: str, kinds: Iterable[ArtifactKind]) -> dict[str, Any]:
    """The data of `work.kept`: where the work is."""
    query = f"run_id={origin.run_id}&attempt={origin.attempt}"
    return {
        "run_id": origin.run_id,
        "attempt": origin.attempt,
        "head_sha": head,
        "artifacts": {kind: f"/sessions/{session_id}/{_PATHS.get(kind, f'{kind}?')}{query}" for kind in kinds},
    }


def latest(
    tx: Transaction, session_id: str, *kinds: ArtifactKind, run_id: str | None = None, attempt: int | None = None
) -> Origin | None:
    """Whose artifact of one of these kinds is the newest in the session, of one run or attempt when they are given.

    A run that succeeded and changed nothing has none, though a lost attempt of it may; that is found by its number.
    """
    query = (
        sa.select(_artifacts.c.run_id, _artifacts.c.attempt)
        .join(_runs, _artifacts.c.run_id == _runs.c.id)
        .where(_runs.c.session_id == session_id, _artifacts.c.kind.in_(kinds), _artifacts.c.piece == 0)
        .order_by(_runs.c.number.desc(), _artifacts.c.attempt.desc())
        .limit(1)
    )
    if run_id is not None:
        query = query.where(_runs.c.id == run_id)
    if attempt is not None:
        query = query.where(_artifacts.c.attempt == attempt)
    else:
        query = query.where(sa.or_(_runs.c.state != RunState.SUCCEEDED, _runs.c.changed.is_not(False)))
    row = tx.execute(query).first()
    return None if row is None else Origin(run_id=row.run_id, attempt=row.attempt)


def of_run(tx: Transaction, origin: Origin, kind: ArtifactKind) -> ArtifactKind:
    """Which kind shows the run's own change in the form of `kind`.

    A run that started at its target's commit has no kinds of its own: all that the branch has is its change.
    """
    own = sa.select(_artifacts.c.kind).where(
        _artifacts.c.run_id == origin.run_id,
        _artifacts.c.attempt == origin.attempt,
        _artifacts.c.kind.in_(RUN_KINDS.values()),
    )
    return kind if tx.execute(own.limit(1)).first() is None else RUN_KINDS[kind]


def content(tx: Transaction, origin: Origin, kind: ArtifactKind) -> bytes | None:
    """The whole of an artifact, MAX_BYTES at most; None when there is none."""
    pieces = tuple(read(tx, origin, kind))
    return b"".join(pieces) if pieces else None


def read(tx: Transaction, origin: Origin, kind: str) -> Iterator[bytes]:
    """The pieces in their order; one at a time is in memory."""
    query = sa.select(_artifacts.c.content).where(_is(origin, kind))
    count = sa.select(sa.func.count()).select_from(query.subquery())
    for number in range(tx.execute(count).scalar_one()):
        yield tx.execute(query.where(_artifacts.c.piece == number)).scalar_one()


def _is(origin: Origin, kind: str) -> sa.ColumnElement[bool]:
    return sa.and_(
        _artifacts.c.run_id == origin.run_id, _artifacts.c.attempt == origin.attempt, _artifacts.c.kind == kind
    )
