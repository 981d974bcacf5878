"""The SQL of runs. Nothing here commits or decides."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa

from gitward.sessions.model import Instruction, Run, RunState, Session, Step, is_id
from gitward.sessions.rows import instruction_to_json, run_from_row, step_from_row, version_of
from gitward.store import schema
from gitward.store.database import Transaction

_sessions = schema.sessions
_runs = schema.runs


_steps = schema.steps
EARLIER_RUN = "An earlier run of this session has not ended yet."
WAITING = "Waiting for a free worker."
MOST_RUNS = 100  # that a session is shown with: the latest; `runs_before` has the others


def new_run(
    session: Session,
    instruction: Instruction,
    *,
    run_id: str,
    number: int,
    at: datetime,
    retry_of: str | None,
) -> Run:
    return Run(
        id=run_id,
        session_id=session.id,
        number=number,
        state=RunState.QUEUED,
        reason=None,
        message=None,
        instruction=instruction,
        changed=None,
        head_sha=None,
        exit_code=None,
        retry_of=retry_of,
        attempt=0,
        output_truncated=False,
        cancel_requested_at=None,
        created_at=at,
        started_at=None,
        ended_at=None,
        pull_request=None,
    )


def insert_run(tx: Transaction, run: Run) -> None:
    """The first of a session."""
    tx.execute(_insert_run(run, run.number))


def insert_following_run(tx: Transaction, run: Run) -> int:
    """Its number; the session's row is locked."""
    others = _runs.alias("others")
    last = sa.select(sa.func.coalesce(sa.func.max(others.c.number), 0) + 1).where(others.c.session_id == run.session_id)
    return int(tx.execute(_insert_run(run, last.scalar_subquery()).returning(_runs.c.number)).scalar_one())


def _insert_run(run: Run, number: int | sa.ScalarSelect[int]) -> sa.Insert:
    return sa.insert(_runs).values(
        id=run.id,
        session_id=run.session_id,
        number=number,
        state=run.state,
        instruction=instruction_to_json(run.instruction),
        checkpoints_version=version_of(run.instruction),
        retry_of=run.retry_of,
        attempt=run.attempt,
        losses=0,
        output_truncated=run.output_truncated,
        created_at=run.created_at,
    )


def latest_runs(tx: Transaction, session_id: str) -> Sequence[Run]:
    """The session's latest runs with their steps, MOST_RUNS at most, first to last."""
    return latest_by_session(tx, [session_id], MOST_RUNS).get(session_id, [])


def runs_before(tx: Transaction, session_id: str, before: int | None, limit: int) -> Sequence[Run]:
    """The latest runs whose number is smaller, with their steps, last to first."""
    wanted = [_runs.c.session_id == session_id]
    if before is not None:
        wanted.append(_runs.c.number < before)
    some = sa.select(_runs.c.id).where(*wanted).order_by(_runs.c.number.desc()).limit(limit).correlate(None)
    return _runs_where(tx, _runs.c.id.in_(some))[::-1]


def find_run(tx: Transaction, session_id: str, run_id: str) -> Run | None:
    """One of the session's runs with its steps."""
    if not is_id(run_id, "run"):
        return None
    return next(iter(_runs_where(tx, sa.and_(_runs.c.id == run_id, _runs.c.session_id == session_id))), None)


def run_that_publishes(tx: Transaction, published: Run, *, unless: Collection[RunState]) -> str | None:
    """The id of the newest run that publishes, or published, the work of `published`, and is in none of these states.

    It was queued later: so only those are looked at, of a session that may have very many.
    """
    query = sa.select(_runs.c.id).where(
        _runs.c.session_id == published.session_id,
        _runs.c.number > published.number,
        _runs.c.instruction["publish_of"].as_string() == published.id,
        _runs.c.state.not_in(unless),
    )
    return tx.execute(query.order_by(_runs.c.number.desc()).limit(1)).scalar()


def latest_by_session(tx: Transaction, session_ids: Sequence[str], most: int) -> dict[str, list[Run]]:
    """Of each of these sessions its latest runs with their steps, so many at most, first to last."""
    others = _runs.alias("others")
    last = sa.select(sa.func.max(others.c.number)).where(others.c.session_id == _sessions.c.id)
    after = last.correlate(_sessions).scalar_subquery() - most
    runs: dict[str, list[Run]] = {}
    for run in _runs_where(tx, sa.and_(_sessions.c.id.in_(session_ids), _runs.c.number > after)):
        runs.setdefault(run.session_id, []).append(run)
    return runs


def _runs_where(tx: Transaction, wanted: sa.ColumnElement[bool]) -> list[Run]:
    """Runs with their steps, in the order of their numbers; each queued one is told how many it waits for."""
    of_sessions = _runs.join(_sessions, _sessions.c.id == _runs.c.session_id)
    query = sa.select(_runs).select_from(of_sessions).where(wanted).order_by(_runs.c.session_id, _runs.c.number)
    rows = tx.execute(query).all()
    steps: dict[str, list[Step]] = {}
    step_query = sa.select(_steps).select_from(of_sessions.join(_steps, _steps.c.run_id == _runs.c.id)).where(wanted)
    for row in tx.execute(step_query.order_by(_steps.c.position)):
        steps.setdefault(row.run_id, []).append(step_from_row(row))
    heads = _heads(tx, {row.session_id for row in rows if row.state == RunState.QUEUED})
    runs = [run_from_row(row, steps.get(row.id, ())) for row in rows]
    return [
        queued_behind(run, run.number - heads[run.session_id]) if run.state is RunState.QUEUED else run for run in runs
    ]


def _heads(tx: Transaction, session_ids: Collection[str]) -> dict[str, int]:
    """The number of each session's first run that has not ended: all behind it have not ended either."""
    if not session_ids:
        return {}
    others = _runs.alias("others")
    first = sa.select(sa.func.min(others.c.number)).where(others.c.session_id == _sessions.c.id)
    head = first.where(others.c.ended_at.is_(None)).correlate(_sessions).scalar_subquery()
    query = sa.select(_sessions.c.id, head.label("head")).where(_sessions.c.id.in_(session_ids))
    return {row.id: row.head for row in tx.execute(query)}


def queued_behind(run: Run, earlier: int) -> Run:
    """A queued run, told where it stands in its session; of the first one `waiting.explain` knows more."""
    if not earlier:
        return replace(run, queued_because=WAITING)
    return replace(run, queued_because=EARLIER_RUN, queue_place=earlier)
