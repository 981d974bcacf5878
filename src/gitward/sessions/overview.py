"""What a list shows to a person: the owner's sessions by what they want of them. Nothing here decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa

from gitward.sessions import run_queries
from gitward.sessions.model import ACTIVE_STATES, Event, EventType, Owner, RunState, Session
from gitward.sessions.rows import PAGE, event_from_row, session_from_row
from gitward.sessions.service import SessionService
from gitward.store import schema
from gitward.store.database import Transaction

_sessions, _events, _runs = schema.sessions, schema.events, schema.runs
SHOWN = 50  # sessions of one group on one page …
SHOWN_DONE = 20  # … and of those that want nothing, beside the other groups
_NEWEST = 60  # events of a running session that are looked at for its line


class Group(StrEnum):
    NEEDS_YOU = "needs-you"  # failed, or its pull request is open
    RUNNING = "running"
    QUEUED = "queued"
    DONE = "done"


class From(StrEnum):
    """Where a session was asked for."""

    PAGE = "page"
    API = "api"
    SCHEDULE = "schedule"


@dataclass(frozen=True, kw_only=True)
class OverviewFilter:
    text: str = ""  # a part of title, repository or branch
    repo: str | None = None
    came_from: From | None = None
    archived: bool = False
    group: Group | None = None  # only this one
    page: int = 1


@dataclass(frozen=True, kw_only=True)
class Overview:
    counts: Mapping[Group, int]
    groups: Mapping[Group, tuple[Session, ...]]  # each with its latest run
    news: Mapping[str, Event]  # of running sessions: the newest event that tells something, by session


@dataclass(frozen=True, kw_only=True)
class ScheduledSession:
    """One of a schedule's, as much of it as a list of schedules tells."""

    id: str
    state: RunState
    created_at: datetime


_IS_OPEN = _sessions.c.pull_request["state"].as_string() == "open"
_GROUP = sa.case(
    (_sessions.c.state.in_([str(state) for state in ACTIVE_STATES]), Group.RUNNING.value),
    (_sessions.c.state == RunState.QUEUED, Group.QUEUED.value),
    (sa.and_(sa.not_(_sessions.c.archived), _sessions.c.state == RunState.FAILED), Group.NEEDS_YOU.value),
    (
        sa.and_(sa.not_(_sessions.c.archived), _sessions.c.state == RunState.SUCCEEDED, _IS_OPEN),
        Group.NEEDS_YOU.value,
    ),
    else_=Group.DONE.value,
)


def read_overview(tx: Transaction, sessions: SessionService, owner: Owner, wanted: OverviewFilter) -> Overview:
    """In a few statements, however many sessions there are."""
    where = _where(owner, wanted)
    counted = sa.select(_GROUP.label("kind"), sa.func.count().label("sessions")).where(*where).group_by(_GROUP)
    counts = {Group(row.kind): row.sessions for row in tx.execute(counted)}
    asked = [wanted.group] if wanted.group is not None else list(Group)
    few = SHOWN_DONE if wanted.group is None else SHOWN
    found = {
        group: _rows(tx, where, group, wanted.page, few if group is Group.DONE else SHOWN)
        for group in asked
        if counts.get(group)
    }
    shown = _with_latest_run(tx, sessions, owner, [each for rows in found.values() for each in rows])
    groups = {group: tuple(shown[each.id] for each in rows) for group, rows in found.items()}
    news = _news(tx, [each.id for each in groups.get(Group.RUNNING, ())])
    return Overview(counts=counts, groups=groups, news=news)


def last_change(tx: Transaction, owner: Owner) -> tuple[object, ...]:
    """Another value whenever a session of the owner's has told something: much cheaper than the overview."""
    newest = sa.select(sa.func.max(_sessions.c.updated_at), sa.func.count()).where(*_of(owner))
    return tuple(tx.execute(newest).one())


def used_repositories(tx: Transaction, owner: Owner, *, most: int = 100) -> Sequence[str]:
    """Those of the owner's sessions, the one that was used last first."""
    last = sa.func.max(_sessions.c.created_at)
    query = sa.select(_sessions.c.repo).where(*_of(owner)).group_by(_sessions.c.repo)
    return tx.execute(query.order_by(last.desc()).limit(most)).scalars().all()


def last_session(tx: Transaction, owner: Owner) -> Session | None:
    """The one that the owner made last by himself, with its first run."""
    query = sa.select(_sessions).where(*_of(owner), _sessions.c.schedule_id.is_(None))
    row = tx.execute(query.order_by(_sessions.c.created_at.desc()).limit(1)).first()
    if row is None:
        return None
    runs = run_queries.runs_before(tx, row.id, 2, 1)
    return session_from_row(row, runs)


def sessions_of_schedules(
    tx: Transaction, owner: Owner, ids: Sequence[str], *, most: int = 3
) -> Mapping[str, Sequence[ScheduledSession]]:
    """By schedule, the newest first."""
    found: dict[str, list[ScheduledSession]] = {}
    if not ids:
        return found
    place = sa.func.row_number().over(
        partition_by=_sessions.c.schedule_id, order_by=(_sessions.c.created_at.desc(), _sessions.c.id)
    )
    columns = (_sessions.c.id, _sessions.c.schedule_id, _sessions.c.state, _sessions.c.created_at)
    ranked = sa.select(*columns, place.label("place")).where(*_of(owner), _sessions.c.schedule_id.in_(ids)).subquery()
    query = sa.select(ranked).where(ranked.c.place <= most).order_by(ranked.c.created_at.desc())
    for row in tx.execute(query):
        made = ScheduledSession(id=row.id, state=RunState(row.state), created_at=row.created_at)
        found.setdefault(row.schedule_id, []).append(made)
    return found


def _of(owner: Owner) -> tuple[sa.ColumnElement[bool], ...]:
    return (_sessions.c.issuer == owner.issuer, _sessions.c.subject == owner.subject)


def _where(owner: Owner, wanted: OverviewFilter) -> list[sa.ColumnElement[bool]]:
    where = [*_of(owner), _sessions.c.archived == wanted.archived]
    for word in wanted.text.lower().split()[:8]:
        columns = (_sessions.c.title, _sessions.c.repo, _sessions.c.branch)
        where.append(sa.or_(*(sa.func.lower(column).contains(word, autoescape=True) for column in columns)))
    if wanted.repo:
        where.append(_sessions.c.repo_key == wanted.repo.lower())
    match wanted.came_from:
        case From.SCHEDULE:
            where.append(_sessions.c.schedule_id.is_not(None))
        case From.PAGE:
            where.append(_sessions.c.origin == PAGE)
        case From.API:
            where += [_sessions.c.origin.is_(None), _sessions.c.schedule_id.is_(None)]
    return where


def _rows(
    tx: Transaction, where: Iterable[sa.ColumnElement[bool]], group: Group, page: int, most: int
) -> list[Session]:
    """The newest first; of the queued the one that waits longest."""
    order = _sessions.c.updated_at.asc() if group is Group.QUEUED else _sessions.c.updated_at.desc()
    query = sa.select(_sessions).where(*where, _GROUP.in_([group.value])).order_by(order, _sessions.c.id)
    return [session_from_row(row) for row in tx.execute(query.limit(most).offset((page - 1) * most))]


def _with_latest_run(
    tx: Transaction, sessions: SessionService, owner: Owner, found: Sequence[Session]
) -> dict[str, Session]:
    latest = run_queries.latest_by_session(tx, [each.id for each in found], 1)
    runs = sessions.explained(tx, owner, [run for each in found for run in latest.get(each.id, ())])
    by_session = {run.session_id: run for run in runs}
    return {each.id: replace(each, runs=(by_session[each.id],)) if each.id in by_session else each for each in found}


_TELLING = (
    EventType.AGENT_TOOL,
    EventType.AGENT_PLAN,
    EventType.AGENT_MESSAGE,
    EventType.STEP_STARTED,
    EventType.STEP_RETRYING,
    EventType.MODEL_FAILING,
    EventType.OUTPUT,
    EventType.NOTICE,
)


def _news(tx: Transaction, session_ids: Sequence[str]) -> dict[str, Event]:
    """By key, a row each: what a session wrote before its newest events is not looked at."""
    news = {}
    for session_id in session_ids:
        last = sa.select(_sessions.c.last_seq).where(_sessions.c.id == session_id).scalar_subquery()
        query = sa.select(_events).where(
            _events.c.session_id == session_id, _events.c.seq > last - _NEWEST, _events.c.type.in_(_TELLING)
        )
        row = tx.execute(query.order_by(_events.c.seq.desc()).limit(1)).first()
        if row is not None:
            news[session_id] = event_from_row(row)
    return news
