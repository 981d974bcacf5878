"""The SQL of sessions and runs. Nothing here commits or decides."""

from __future__ import annotations

import base64
import binascii
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from gitward.errors import Conflict, FieldError, InvalidRequest, Reason
from gitward.sessions.model import (
    FINAL_STATES,
    Instruction,
    Owner,
    Run,
    RunState,
    Session,
    Step,
    is_id,
)
from gitward.sessions.rows import instruction_to_json, run_from_row, session_from_row, step_from_row
from gitward.store import schema
from gitward.store.database import Transaction

_sessions, _runs, _steps = schema.sessions, schema.runs, schema.steps
EARLIER_RUN = "An earlier run of this session has not ended yet."
CANCELLED_EARLY = "Cancelled before it began."
WAITING = "Waiting for a free worker."


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


async def insert_session(tx: Transaction, session: Session) -> None:
    """:raises Conflict: another session has the branch. Asked before, so that it is SQL's answer only in a race."""
    if await branch_is_taken(tx, session.repo, session.branch, session_id=session.id):
        raise _branch_conflict(session)
    try:
        await _insert_session(tx, session)
    except sa.exc.IntegrityError:
        raise _branch_conflict(session) from None


async def _insert_session(tx: Transaction, session: Session) -> None:
    await tx.execute(
        sa.insert(_sessions).values(
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
            state=session.state,
            archived=session.archived,
            schedule_id=session.schedule_id,
            scheduled_for=session.scheduled_for,
            claims=dict(session.claims),
            last_seq=0,
            created_at=session.created_at,
            updated_at=session.updated_at,
        )
    )


async def branch_is_taken(tx: Transaction, repo: str, branch: str, *, session_id: str) -> bool:
    """Whether another session than this one has the branch of this repository."""
    query = sa.select(_sessions.c.id).where(
        _sessions.c.repo_key == repo.lower(), _sessions.c.branch == branch, _sessions.c.id != session_id
    )
    return (await tx.execute(query)).first() is not None


def _branch_conflict(session: Session) -> Conflict:
    message = "is another session's; name another branch"
    return Conflict(
        f"Another session already has the branch {session.branch} of {session.repo}; name another branch.",
        errors=[FieldError(field="branch", message=message)],
    )


async def find_session(tx: Transaction, session_id: str, *, lock: bool = False) -> Session | None:
    """The session without its runs. `lock` keeps others from changing it until the transaction ends."""
    if not is_id(session_id, "ses"):
        return None
    query = sa.select(_sessions).where(_sessions.c.id == session_id)
    row = (await tx.execute(query.with_for_update() if lock else query)).first()
    return session_from_row(row) if row else None


async def update_session(tx: Transaction, session_id: str, values: Mapping[str, Any]) -> None:
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    await tx.execute(sa.update(_sessions).where(_sessions.c.id == session_id).values(**plain))


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


async def insert_run(tx: Transaction, run: Run) -> None:
    await tx.execute(
        sa.insert(_runs).values(
            id=run.id,
            session_id=run.session_id,
            number=run.number,
            state=run.state,
            instruction=instruction_to_json(run.instruction),
            retry_of=run.retry_of,
            attempt=run.attempt,
            losses=0,
            output_truncated=run.output_truncated,
            created_at=run.created_at,
        )
    )
    await refresh_session_state(tx, run.session_id)


async def refresh_session_state(tx: Transaction, session_id: str) -> None:
    """The session's state is its latest run's."""
    latest = (
        sa.select(_runs.c.state)
        .where(_runs.c.session_id == session_id)
        .order_by(_runs.c.number.desc())
        .limit(1)
        .scalar_subquery()
    )
    await tx.execute(sa.update(_sessions).where(_sessions.c.id == session_id).values(state=latest))


async def last_run_number(tx: Transaction, session_id: str) -> int:
    query = sa.select(sa.func.max(_runs.c.number)).where(_runs.c.session_id == session_id)
    return int((await tx.execute(query)).scalar_one() or 0)


async def unfinished_runs(tx: Transaction, session_id: str) -> Sequence[Run]:
    """Queued and active runs, in their order."""
    query = sa.select(_runs).where(_runs.c.session_id == session_id, _runs.c.state.not_in(FINAL_STATES))
    return [run_from_row(row) for row in await tx.execute(query.order_by(_runs.c.number))]


async def next_run(tx: Transaction, session_id: str) -> str | None:
    """The id of the session's first run that has not ended."""
    query = sa.select(_runs.c.id).where(_runs.c.session_id == session_id, _runs.c.state.not_in(FINAL_STATES))
    return (await tx.execute(query.order_by(_runs.c.number).limit(1))).scalar()


async def count_unfinished_runs(tx: Transaction, session_id: str) -> int:
    query = sa.select(sa.func.count()).select_from(_runs)
    query = query.where(_runs.c.session_id == session_id, _runs.c.state.not_in(FINAL_STATES))
    return int((await tx.execute(query)).scalar_one())


async def cancel_runs(tx: Transaction, session_id: str, at: datetime) -> None:
    """Ends the session's queued runs, and asks the running one to end; as many as there are, in two statements."""
    of_session = sa.update(_runs).where(_runs.c.session_id == session_id).values(cancel_requested_at=at)
    ended = {"state": RunState.CANCELLED, "message": CANCELLED_EARLY, "ended_at": at}
    await tx.execute(of_session.where(_runs.c.state == RunState.QUEUED).values(**ended))
    await tx.execute(of_session.where(_runs.c.state == RunState.RUNNING).values(state=RunState.CANCELLING))
    await refresh_session_state(tx, session_id)


async def runs_of(tx: Transaction, session_id: str, *, run_id: str | None = None) -> Sequence[Run]:
    """The session's runs with their steps, first to last; only one of them when `run_id` is given."""
    if run_id is not None and not is_id(run_id, "run"):
        return []
    return (await _runs_by_session(tx, [session_id], run_id=run_id)).get(session_id, [])


async def _runs_by_session(
    tx: Transaction, session_ids: Sequence[str], *, run_id: str | None = None
) -> dict[str, list[Run]]:
    query = sa.select(_runs).where(_runs.c.session_id.in_(session_ids))
    rows = (await tx.execute(query.order_by(_runs.c.session_id, _runs.c.number))).all()
    steps: dict[str, list[Step]] = {}
    step_query = sa.select(_steps).where(_steps.c.run_id.in_([row.id for row in rows]))
    for row in await tx.execute(step_query.order_by(_steps.c.position)):
        steps.setdefault(row.run_id, []).append(step_from_row(row))
    runs: dict[str, list[Run]] = {}
    unfinished: Counter[str] = Counter()
    for row in rows:
        run = run_from_row(row, steps.get(row.id, ()))
        if run.state is RunState.QUEUED:
            run = queued_behind(run, unfinished[run.session_id])
        if not run.state.is_final:
            unfinished[run.session_id] += 1
        if run_id is None or run.id == run_id:
            runs.setdefault(run.session_id, []).append(run)
    return runs


def queued_behind(run: Run, earlier: int) -> Run:
    """A queued run, told where it stands in its session; of the first one `waiting.explain` knows more."""
    if not earlier:
        return replace(run, queued_because=WAITING)
    return replace(run, queued_because=EARLIER_RUN, queue_place=earlier)


async def list_sessions(tx: Transaction, owner: Owner, wanted: SessionFilter) -> Page:
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
    sessions = [session_from_row(row) for row in await tx.execute(query)]
    shown = sessions[: wanted.limit]
    runs = await _runs_by_session(tx, [session.id for session in shown])
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
