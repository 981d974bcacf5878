"""What happened in a session before a run, for an agent that does not remember it: from rows and events of our own."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from gitward.sessions.model import ArtifactKind, EventType, PublishMode, Run, RunState
from gitward.sessions.rows import run_from_row
from gitward.store import schema
from gitward.store.database import Transaction

MOST_RUNS = 10
MOST_TOOLS = 30  # of one run, the last ones
_MOST_EVENTS = 400  # of one run that are looked at, the last ones

_runs, _events, _artifacts = schema.runs, schema.events, schema.artifacts


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One tool call, as it was told at last."""

    title: str
    status: str


@dataclass(frozen=True, kw_only=True)
class Past:
    """A run that was there before, or what this run did before its worker was lost."""

    run: Run
    started: bool  # whether its agent was ready for the prompt
    said: str  # by its agent, at last
    tools: tuple[Tool, ...]


@dataclass(frozen=True, kw_only=True)
class KeptWork:
    """Work of an earlier run that is not on the session's branch."""

    run: Run
    attempt: int


def past(tx: Transaction, run: Run) -> tuple[Past, ...]:
    """The session's runs up to this one, the oldest first; of this one only what an earlier attempt did."""
    query = sa.select(_runs).where(_runs.c.session_id == run.session_id, _runs.c.number <= run.number)
    rows = tx.execute(query.order_by(_runs.c.number.desc()).limit(MOST_RUNS + 1)).all()
    found = [run_from_row(row) for row in reversed(rows)]
    told = [_past(tx, each) for each in found]
    return tuple(each for each in told if each.run.id != run.id or each.started)


def _past(tx: Transaction, run: Run) -> Past:
    if run.instruction.prompt is None:
        return Past(run=run, started=False, said="", tools=())
    kinds = (EventType.AGENT_TOOL, EventType.AGENT_MESSAGE, EventType.AGENT_ENDED)
    query = sa.select(_events.c.type, _events.c.data).where(*_of(run, *kinds))
    rows = tx.execute(query.order_by(_events.c.seq.desc()).limit(_MOST_EVENTS)).all()
    tools: dict[str, Tool] = {}
    said = ""
    for row in rows:  # the newest first
        if row.type == EventType.AGENT_TOOL and row.data["id"] not in tools and len(tools) < MOST_TOOLS:
            tools[row.data["id"]] = Tool(title=row.data.get("title") or "", status=row.data.get("status") or "")
        said = said or str(row.data.get("text") or "")
    started = sa.select(_events.c.seq).where(*_of(run, EventType.AGENT_STARTED)).limit(1)
    return Past(
        run=run, started=tx.execute(started).first() is not None, said=said, tools=tuple(reversed(tools.values()))
    )


def _of(run: Run, *kinds: EventType) -> tuple[sa.ColumnElement[bool], ...]:
    return (_events.c.session_id == run.session_id, _events.c.run_id == run.id, _events.c.type.in_(kinds))


def lost_work(tx: Transaction, run: Run) -> int | None:
    """The attempt before this one whose work was kept."""
    query = sa.select(sa.func.max(_artifacts.c.attempt)).where(
        _artifacts.c.run_id == run.id, _artifacts.c.attempt < run.attempt, _artifacts.c.kind == ArtifactKind.BUNDLE
    )
    return tx.execute(query).scalar()


def unpublished_work(tx: Transaction, run: Run, *, most: int) -> tuple[KeptWork, ...]:
    """Earlier runs whose work was kept and is not on the branch, since one last arrived there; the oldest first."""
    query = sa.select(_runs).where(_runs.c.session_id == run.session_id, _runs.c.number < run.number)
    found: list[KeptWork] = []
    published: set[str | None] = set()
    for row in tx.execute(query.order_by(_runs.c.number.desc())).all():
        each = run_from_row(row)
        is_dry = each.instruction.publish.mode is PublishMode.DRY_RUN
        if each.state is RunState.SUCCEEDED and each.changed and not is_dry:
            if each.publish_of is None:
                break
            published.add(each.publish_of)
        attempt = _kept_attempt(tx, each)
        if attempt is not None and each.id not in published and len(found) < most:
            found.append(KeptWork(run=each, attempt=attempt))
    return tuple(reversed(found))


def _kept_attempt(tx: Transaction, run: Run) -> int | None:
    if run.state is RunState.SUCCEEDED and not run.changed:
        return None
    query = sa.select(sa.func.max(_artifacts.c.attempt)).where(
        _artifacts.c.run_id == run.id, _artifacts.c.kind == ArtifactKind.BUNDLE
    )
    return tx.execute(query).scalar()
