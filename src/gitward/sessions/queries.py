"""The SQL of sessions and runs. Nothing here commits or decides."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from gitward.errors import Conflict, FieldError, InvalidRequest, Reason
from gitward.sessions.model import (
    Instruction,
    Owner,
    Run,
    RunState,
    Session,
    Step,
    is_id,
)
from gitward.sessions.places import STANDING_COLUMNS, Standing, standing_from_row, standing_of
from gitward.sessions.rows import instruction_to_json, run_from_row, session_from_row, step_from_row, version_of
from gitward.store import schema, upsert
from gitward.store.database import Transaction

_sessions, _runs, _steps = schema.sessions, schema.runs, schema.steps
EARLIER_RUN = "An earlier run of this session has not ended yet."
CANCELLED_EARLY = "Cancelled before it began."
WAITING = "Waiting for a free worker."
MOST_RUNS = 100  # that a session is shown with: the latest; `runs_before` has the others
MOST_RUNS_IN_LIST = 20


@dataclass(frozen=True, kw_only=True)
class SessionFilter:
    """Which sessions a list shows."""

    state: RunState | None = None
    repo: str | None = None
    label: str | None = None
    archived: bool | None = None
    reason: Reason | None = None  # of the latest run's failure
    schedule: str | None = None
    cursor: str | None = None
    limit: int = 50


@dataclass(frozen=True, kw_only=True)
class Page:
    items: tuple[Session, ...]
    next: str | None  # the cursor of the next page


def insert_session(tx: Transaction, session: Session, *, last_seq: int) -> None:
    """:raises Conflict: the branch is taken."""
    insert = upsert.insert(tx, _sessions).values(
        id=session.id,
        issuer=session.owner.issuer,
        subject=session.owner.subject,
        repo=session.repo,
        repo_key=session.repo.lower(),
        target_branch=session.target_branch,
        branch=session.branch,
        title=session.title,
        labels=list(session.labels),
        submodules=list(session.submodules),
        allow_workflows=session.allow_workflows,
        environment=session.environment,
        setup=session.setup,
        state=session.state,
        archived=session.archived,
        schedule_id=session.schedule_id,
        scheduled_for=session.scheduled_for,
        claims=dict(session.claims),
        last_seq=last_seq,
        created_at=session.created_at,
        updated_at=session.updated_at,
    )
    insert = insert.on_conflict_do_nothing(index_elements=[_sessions.c.repo_key, _sessions.c.branch])
    if tx.execute(insert.returning(_sessions.c.id)).first() is None:
        raise _branch_conflict(session)


def branch_is_taken(tx: Transaction, repo: str, branch: str, *, session_id: str) -> bool:
    """Whether another session than this one has the branch of this repository."""
    query = sa.select(_sessions.c.id).where(
        _sessions.c.repo_key == repo.lower(), _sessions.c.branch == branch, _sessions.c.id != session_id
    )
    return tx.execute(query).first() is not None


def _branch_conflict(session: Session) -> Conflict:
    """Whoever has it: another owner's sessions are nobody's business."""
    return Conflict(
        f"The branch {session.branch} of {session.repo} is taken; name another one.",
        errors=[FieldError(field="branch", message="is taken; name another one")],
    )


def find_session(tx: Transaction, session_id: str, *, lock: bool = False) -> Session | None:
    """The session without its runs. `lock` keeps others from changing it until the transaction ends."""
    if not is_id(session_id, "ses"):
        return None
    query = sa.select(_sessions).where(_sessions.c.id == session_id)
    row = tx.execute(query.with_for_update() if lock else query).first()
    return session_from_row(row) if row else None


def update_session(tx: Transaction, session_id: str, values: Mapping[str, Any]) -> None:
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    tx.execute(sa.update(_sessions).where(_sessions.c.id == session_id).values(**plain))


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


def reopen(tx: Transaction, owner: Owner, session_id: str, at: datetime) -> tuple[Session, int] | None:
    """Locks the owner's session for one more run and one event, whose `seq` it tells."""
    if not is_id(session_id, "ses"):
        return None
    mine = (_sessions.c.id == session_id, _sessions.c.issuer == owner.issuer, _sessions.c.subject == owner.subject)
    values = {"last_seq": _sessions.c.last_seq + 1, "updated_at": at, "state": RunState.QUEUED}
    row = tx.execute(sa.update(_sessions).where(*mine).values(**values).returning(_sessions)).first()
    return None if row is None else (session_from_row(row), int(row.last_seq))


_others = _runs.alias("others")
_UNFINISHED = (
    sa.select(sa.func.count())
    .select_from(_others)
    .where(_others.c.session_id == sa.bindparam("of_session"), _others.c.ended_at.is_(None))
    .scalar_subquery()
    .label("earlier")
)
_AROUND = sa.select(_UNFINISHED, *STANDING_COLUMNS)
_AROUND_AND_RUN = sa.select(_runs, _UNFINISHED, *STANDING_COLUMNS).where(
    _runs.c.id == sa.bindparam("run_id"), _runs.c.session_id == sa.bindparam("of_session")
)


def find_surroundings(tx: Transaction, session: Session) -> tuple[int, Standing]:
    """How many runs of the session have not ended, and where its owner's runs stand."""
    row = tx.execute(_AROUND, {"of_session": session.id, **standing_of(session.owner)}).one()
    return row.earlier, standing_from_row(row)


def find_run_and_surroundings(tx: Transaction, session: Session, run_id: str) -> tuple[Run, int, Standing] | None:
    """The same, with one of the session's runs; None: it has no such run."""
    parameters = {"of_session": session.id, "run_id": run_id, **standing_of(session.owner)}
    row = tx.execute(_AROUND_AND_RUN, parameters).first()
    return None if row is None else (run_from_row(row), row.earlier, standing_from_row(row))


def refresh_session_state(tx: Transaction, session_id: str) -> None:
    """The session's state is its latest run's."""
    tx.execute(sa.update(_sessions).where(_sessions.c.id == session_id).values(state=_latest_state(session_id)))


def _latest_state(session_id: str) -> sa.ScalarSelect[RunState]:
    states = sa.select(_runs.c.state).where(_runs.c.session_id == session_id)
    return states.order_by(_runs.c.number.desc()).limit(1).scalar_subquery()


@dataclass(frozen=True, kw_only=True)
class Unfinished:
    """A run that has not ended; a session may have very many."""

    id: str
    state: RunState


def unfinished_runs(tx: Transaction, session_id: str) -> Sequence[Unfinished]:
    """Queued and active runs, in their order."""
    query = sa.select(_runs.c.id, _runs.c.state).where(_runs.c.session_id == session_id, _runs.c.ended_at.is_(None))
    return [Unfinished(id=row.id, state=RunState(row.state)) for row in tx.execute(query.order_by(_runs.c.number))]


def next_run(tx: Transaction, session_id: str) -> str | None:
    """The id of the session's first run that has not ended."""
    query = sa.select(_runs.c.id).where(_runs.c.session_id == session_id, _runs.c.ended_at.is_(None))
    return tx.execute(query.order_by(_runs.c.number).limit(1)).scalar()


def count_unfinished_runs(tx: Transaction, session_id: str) -> int:
    return int(tx.execute(sa.select(_UNFINISHED), {"of_session": session_id}).scalar_one())


def cancel_runs(
    tx: Transaction, session_id: str, at: datetime, *, states: Collection[RunState], events: int
) -> tuple[Session, int]:
    """Ends the session's queued runs, and asks the running one to end; as many as there are, in a statement for each
    of these states.

    :return: the session, and the `seq` of the first of so many events.
    """
    of_session = sa.update(_runs).where(_runs.c.session_id == session_id).values(cancel_requested_at=at)
    ended = {"state": RunState.CANCELLED, "message": CANCELLED_EARLY, "ended_at": at}
    if RunState.QUEUED in states:
        tx.execute(of_session.where(_runs.c.state == RunState.QUEUED).values(**ended))
    if RunState.RUNNING in states:
        tx.execute(of_session.where(_runs.c.state == RunState.RUNNING).values(state=RunState.CANCELLING))
    values = {"last_seq": _sessions.c.last_seq + events, "updated_at": at, "state": _latest_state(session_id)}
    row = tx.execute(
        sa.update(_sessions).where(_sessions.c.id == session_id).values(**values).returning(_sessions)
    ).one()
    return session_from_row(row), int(row.last_seq) - events + 1


def latest_runs(tx: Transaction, session_id: str) -> Sequence[Run]:
    """The session's latest runs with their steps, MOST_RUNS at most, first to last."""
    return _latest_by_session(tx, [session_id], MOST_RUNS).get(session_id, [])


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


def _latest_by_session(tx: Transaction, session_ids: Sequence[str], most: int) -> dict[str, list[Run]]:
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


def list_sessions(tx: Transaction, owner: Owner, wanted: SessionFilter) -> Page:
    """The owner's sessions, newest first, with their runs."""
    query = sa.select(_sessions).where(_sessions.c.issuer == owner.issuer, _sessions.c.subject == owner.subject)
    if wanted.state is not None:
        query = query.where(_sessions.c.state == wanted.state)
    if wanted.repo is not None:
        query = query.where(_sessions.c.repo_key == wanted.repo.lower())
    if wanted.archived is not None:
        query = query.where(_sessions.c.archived == wanted.archived)
    if wanted.schedule is not None:
        query = query.where(_sessions.c.schedule_id == wanted.schedule)
    if wanted.reason is not None:
        query = query.where(_sessions.c.state == RunState.FAILED, _latest(_runs.c.reason) == wanted.reason)
    if wanted.label is not None:
        query = query.where(_has_label(tx, wanted.label))
    if wanted.cursor is not None:
        created_at, session_id = _decode_cursor(wanted.cursor)
        query = query.where(
            sa.or_(
                _sessions.c.created_at < created_at,
                sa.and_(_sessions.c.created_at == created_at, _sessions.c.id < session_id),
            )
        )
    query = query.order_by(_sessions.c.created_at.desc(), _sessions.c.id.desc()).limit(wanted.limit + 1)
    sessions = [session_from_row(row) for row in tx.execute(query)]
    shown = sessions[: wanted.limit]
    runs = _latest_by_session(tx, [session.id for session in shown], MOST_RUNS_IN_LIST)
    return Page(
        items=tuple(replace(session, runs=tuple(runs.get(session.id, ()))) for session in shown),
        next=_encode_cursor(shown[-1]) if len(sessions) > wanted.limit else None,
    )


def _latest(column: sa.Column[Any]) -> sa.ScalarSelect[Any]:
    """Of the session's latest run."""
    own = sa.select(column).where(_runs.c.session_id == _sessions.c.id).order_by(_runs.c.number.desc())
    return own.limit(1).correlate(_sessions).scalar_subquery()


def _has_label(tx: Transaction, label: str) -> sa.ColumnElement[bool]:
    if tx.connection.dialect.name == "postgresql":
        each = sa.func.json_array_elements_text(_sessions.c.labels).table_valued("value")
    else:
        each = sa.func.json_each(_sessions.c.labels).table_valued("value")
    return sa.exists(sa.select(sa.literal(1)).select_from(each).where(each.c.value == label))


def _encode_cursor(last: Session) -> str:
    return base64.urlsafe_b64encode(json.dumps([last.created_at.isoformat(), last.id]).encode()).decode().rstrip("=")


def _decode_cursor(cursor: str) -> tuple[datetime, str]:
    try:
        created_at, session_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        moment = datetime.fromisoformat(created_at)
        if moment.tzinfo is None or not isinstance(session_id, str) or not is_id(session_id, "ses"):
            raise ValueError("not a cursor of ours")
        moment = moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, binascii.Error, RecursionError):
        message = "must be the `next` of an earlier answer"
        raise InvalidRequest("The cursor is not valid.", errors=[FieldError(field="cursor", message=message)]) from None
    return moment, session_id
