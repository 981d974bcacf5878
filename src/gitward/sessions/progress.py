"""What the job writes about a run. Every write is fenced: the results of an old attempt are refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from gitward.errors import GitwardError, Reason
from gitward.grants.usage import Usage
from gitward.sessions import artifacts, session_queries, unfinished_runs, usage_days
from gitward.sessions.artifacts import Origin
from gitward.sessions.journal import Entry, Journal
from gitward.sessions.model import (
    ACTIVE_STATES,
    EventType,
    PullRequest,
    Run,
    RunState,
    Session,
    StepName,
    StepState,
    now,
)
from gitward.sessions.places import Places
from gitward.sessions.rows import run_from_row, session_from_row
from gitward.sessions.usage_days import Counted, DayUsage
from gitward.store import schema, upsert
from gitward.store.database import Transaction

_sessions, _runs, _steps = schema.sessions, schema.runs, schema.steps
_POSITION = {name: position for position, name in enumerate(StepName)}


class AttemptLost(GitwardError):
    """Another worker has the run, or it has ended: this attempt must stop and may write nothing more."""


@dataclass(frozen=True, kw_only=True)
class Hold:
    """One attempt's hold on a run."""

    run: Run
    session: Session
    attempt: int
    first_attempt: bool  # nobody had the run before
    losses: int  # how often a worker was lost in the middle of the run; an orderly stop does not count


@dataclass(frozen=True, kw_only=True)
class EarlierAttempts:
    """What the run's earlier attempts left, as far as it is known."""

    start_sha: str  # of the session's branch, before the first attempt's command
    pushing_sha: str | None  # the head that an attempt was about to push; whether it arrived is for GitHub to say


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended."""

    state: RunState
    reason: Reason | None = None
    message: str
    changed: bool | None = None
    head_sha: str | None = None
    exit_code: int | None = None
    pull_request: PullRequest | None = None


class Progress:
    """The job's way to tell what happens."""

    def __init__(self, *, places: Places, journal: Journal, worker: str) -> None:
        self.places = places
        self._journal = journal
        self._worker = worker

    def take(self, tx: Transaction, run_id: str) -> Hold:
        """Takes the run for this worker, or renews its hold.

        :raises AttemptLost: the run has ended already, or is gone with its session.
        """
        row = locked_run(tx, run_id)
        if row is None:
            raise AttemptLost(f"run {run_id} is gone")
        run = run_from_row(row)
        if run.state.is_final:
            raise AttemptLost(f"run {run_id} has ended")
        at = now()
        losses = row.losses
        if row.worker != self._worker:
            losses += row.worker is not None
            first = run.state is RunState.QUEUED
            state = RunState.RUNNING if first else run.state
            run = replace(run, state=state, attempt=run.attempt + 1, started_at=run.started_at or at)
            values = {"state": state, "attempt": run.attempt, "started_at": run.started_at}
            mine = {"worker": self._worker, "losses": losses}
            tx.execute(sa.update(_runs).where(_runs.c.id == run_id).values(**values, **mine))
            session_queries.refresh_session_state(tx, run.session_id)
            if not first:
                self._end_lost_steps(tx, run, at)
            kind = EventType.RUN_STARTED if first else EventType.RUN_TAKEN_OVER
            self._journal.append(tx, run.session_id, at, (kind, run_id, {"attempt": run.attempt}))
            if not first:
                self._adopt_work(tx, run, at)
        session = session_from_row(tx.execute(_session_of(run)).one())
        return Hold(run=run, session=session, attempt=run.attempt, first_attempt=run.attempt == 1, losses=losses)

    def _end_lost_steps(self, tx: Transaction, run: Run, at: datetime) -> None:
        """What the lost attempt stood in ended with its worker: nobody knows when, but by now."""
        running = sa.and_(_steps.c.run_id == run.id, _steps.c.state == StepState.RUNNING)
        for row in tx.execute(sa.select(_steps).where(running)).all():
            seconds = round(max(0.0, (at - row.started_at).total_seconds()), 3)
            ended = sa.update(_steps).where(running, _steps.c.name == row.name)
            tx.execute(ended.values(state=StepState.FAILED, seconds=seconds))
            data = {"step": row.name, "state": StepState.FAILED, "seconds": seconds}
            self._journal.append(tx, run.session_id, at, (EventType.STEP_ENDED, run.id, data))

    def _adopt_work(self, tx: Transaction, run: Run, at: datetime) -> None:
        """What the lost attempt kept while it ran is its work, if no more of it is found."""
        lost = Origin(run_id=run.id, attempt=run.attempt - 1)
        kept = artifacts.adopt_so_far(tx, lost)
        if kept is not None:
            data = artifacts.kept_event(run.session_id, lost, *kept)
            self._journal.append(tx, run.session_id, at, (EventType.WORK_KEPT, run.id, data))

    def release(self, tx: Transaction) -> None:
        """An orderly stop: gives back what this worker has, so that the next attempt does not count as a loss."""
        mine = sa.update(_runs).where(_runs.c.worker == self._worker, _runs.c.state.in_(ACTIVE_STATES))
        tx.execute(mine.values(worker=None))

    def guard(self, tx: Transaction, hold: Hold) -> RunState:
        """The run's state, locked until the transaction ends (in a snapshot: only looked at).

        :raises AttemptLost: this attempt is an old one, or the run has ended.
        """
        row = locked_run(tx, hold.run.id)
        if row is None or (row.attempt, row.worker) != (hold.attempt, self._worker) or row.state not in ACTIVE_STATES:
            raise AttemptLost(f"attempt {hold.attempt} of run {hold.run.id} is no longer the current one")
        return RunState(row.state)

    def record(self, tx: Transaction, hold: Hold, *entries: tuple[EventType, Mapping[str, Any]]) -> None:
        """Appends events of this run."""
        self._record(tx, hold, now(), *((kind, hold.run.id, dict(data)) for kind, data in entries))

    def _record(self, tx: Transaction, hold: Hold, at: datetime, *entries: Entry) -> None:
        """Three statements: the guard, which locks the session's row, and two of the journal."""
        self.guard(tx, hold)
        self._journal.append(tx, hold.session.id, at, *entries)

    def start_step(self, tx: Transaction, hold: Hold, name: StepName) -> datetime:
        """A step of a new attempt replaces the old attempt's."""
        at = now()
        self._record(tx, hold, at, (EventType.STEP_STARTED, hold.run.id, {"step": name}))
        begun = {"position": _POSITION[name], "state": StepState.RUNNING, "started_at": at, "seconds": None}
        insert = upsert.insert(tx, _steps).values(run_id=hold.run.id, name=name, **begun)
        tx.execute(insert.on_conflict_do_update(index_elements=[_steps.c.run_id, _steps.c.name], set_=begun))
        return at

    def end_step(self, tx: Transaction, hold: Hold, name: StepName, state: StepState, seconds: float) -> None:
        seconds = round(seconds, 3)
        data = {"step": name, "state": state, "seconds": seconds}
        self._record(tx, hold, now(), (EventType.STEP_ENDED, hold.run.id, data))
        step = sa.update(_steps).where(_steps.c.run_id == hold.run.id, _steps.c.name == name)
        tx.execute(step.values(state=state, seconds=seconds))

    def update_session(self, tx: Transaction, hold: Hold, **values: Any) -> None:
        """Sets columns of the session that the job found out (`target_branch`, `pushed_sha`, `repo`)."""
        self.guard(tx, hold)
        session_queries.update_session(tx, hold.session.id, values)

    def record_move(self, tx: Transaction, hold: Hold, repo: str) -> bool:
        """The session's repository has another name by now. False: there its branch is taken."""
        self.guard(tx, hold)
        if session_queries.branch_is_taken(tx, repo, hold.session.branch, session_id=hold.session.id):
            return False
        session_queries.update_session(tx, hold.session.id, {"repo": repo, "repo_key": repo.lower()})
        return True

    def record_start(self, tx: Transaction, hold: Hold, start_sha: str) -> EarlierAttempts:
        """Notes where the branch stands, unless an earlier attempt did; what was noted first counts."""
        self.guard(tx, hold)
        this = _runs.c.id == hold.run.id
        tx.execute(sa.update(_runs).where(this, _runs.c.start_sha.is_(None)).values(start_sha=start_sha))
        row = tx.execute(sa.select(_runs.c.start_sha, _runs.c.pushing_sha).where(this)).one()
        return EarlierAttempts(start_sha=row.start_sha, pushing_sha=row.pushing_sha)

    def record_push_intent(self, tx: Transaction, hold: Hold, head_sha: str) -> None:
        """Notes what will be pushed, so that a later attempt knows its own work when it finds it upstream."""
        self.guard(tx, hold)
        tx.execute(sa.update(_runs).where(_runs.c.id == hold.run.id).values(pushing_sha=head_sha))

    def branch_heads(self, tx: Transaction, hold: Hold) -> tuple[str, ...]:
        """Where the session's branch may stand upstream by our doing: first `pushed_sha`, whose push GitHub accepted.

        Then what each run, the newest first, was about to push. Of these only GitHub can say whether they arrived.
        """
        pushed = sa.select(_sessions.c.pushed_sha).where(_sessions.c.id == hold.session.id)
        pushing = sa.select(_runs.c.pushing_sha).where(
            _runs.c.session_id == hold.session.id, _runs.c.pushing_sha.is_not(None)
        )
        newest = tx.execute(pushing.order_by(_runs.c.number.desc())).scalars()
        heads = (tx.execute(pushed).scalar_one(), *newest)
        return tuple(dict.fromkeys(head for head in heads if head is not None))

    def published_run(self, tx: Transaction, hold: Hold) -> Run | None:
        """The run whose kept work this one publishes; None when this one does work of its own."""
        row = tx.execute(sa.select(_runs).where(_runs.c.id == hold.run.publish_of)).first()
        return None if row is None else run_from_row(row)

    def last_said(self, tx: Transaction, run_id: str) -> str:
        """The last message of a run's agent; empty when it has none."""
        events = schema.events
        query = sa.select(events.c.data).where(
            events.c.session_id == sa.select(_runs.c.session_id).where(_runs.c.id == run_id).scalar_subquery(),
            events.c.run_id == run_id,
            events.c.type == EventType.AGENT_ENDED,
        )
        data = tx.execute(query.order_by(events.c.seq.desc()).limit(1)).scalar()
        return str(data["text"]) if data else ""

    def record_push(self, tx: Transaction, hold: Hold, head_sha: str) -> None:
        """Notes and tells where the session's branch stands upstream, whether the job or its command pushed it.

        A head that was told is told no second time.
        """
        self.guard(tx, hold)
        stands = sa.select(_sessions.c.pushed_sha).where(_sessions.c.id == hold.session.id)
        if tx.execute(stands).scalar_one() == head_sha:
            return
        session_queries.update_session(tx, hold.session.id, {"pushed_sha": head_sha})
        data = {"branch": hold.session.branch, "head_sha": head_sha}
        self._journal.append(tx, hold.session.id, now(), (EventType.BRANCH_PUSHED, hold.run.id, data))

    def record_issue(self, tx: Transaction, hold: Hold, number: int) -> None:
        """Notes and tells that GitHub opened an issue for the session's command."""
        self.guard(tx, hold)
        this = sa.select(_sessions.c.opened_issues).where(_sessions.c.id == hold.session.id)
        known = tx.execute(this).scalar_one() or []
        if number in known:
            return
        session_queries.update_session(tx, hold.session.id, {"opened_issues": [*known, number]})
        entry: Entry = (EventType.ISSUE_OPENED, hold.run.id, {"number": number})
        self._journal.append(tx, hold.session.id, now(), entry)

    def record_usage(
        self, tx: Transaction, hold: Hold, usage: Usage, *, told: bool, day_limit: int | None = None
    ) -> Counted:
        """Keeps what models were used for by now, and adds what is new to the day of its owner; may be repeated.

        :param told: whether it is an event too.
        :param day_limit: one more request is reserved for this run, if the owner's day has room below so many.
        """
        self.guard(tx, hold)
        at, this = now(), _runs.c.id == hold.run.id
        stored = tx.execute(sa.select(_runs.c.usage).where(this)).scalar_one()
        before = None if stored is None else Usage.of_stored(stored)
        owner = hold.session.owner
        if day_limit is not None:
            usage_days.add(tx, owner, at, DayUsage())  # runs of one owner come one after the other here
            others = usage_days.read(tx, owner, at) - usage_days.part_of(before)
            usage = replace(usage, reserved=int(others.requests + usage.requests < day_limit))
        if usage != before:
            tx.execute(sa.update(_runs).where(this).values(usage=usage.to_stored()))
            usage_days.add(tx, owner, at, usage_days.part_of(usage) - usage_days.part_of(before))
        if told:
            entry: Entry = (EventType.USAGE_COUNTED, hold.run.id, usage.to_json())
            self._journal.append(tx, hold.session.id, at, entry)
        return Counted(today=usage_days.read(tx, owner, at), reserved=usage.reserved)

    def record_truncated_output(self, tx: Transaction, hold: Hold) -> None:
        self.guard(tx, hold)
        tx.execute(sa.update(_runs).where(_runs.c.id == hold.run.id).values(output_truncated=True))

    def record_pull_request(self, tx: Transaction, hold: Hold, pull_request: PullRequest, *, created: bool) -> None:
        """Notes the pull request on run and session; tells it when it is new, or was never told."""
        self.guard(tx, hold)
        value = asdict(pull_request)
        tx.execute(sa.update(_runs).where(_runs.c.id == hold.run.id).values(pull_request=value))
        session_queries.update_session(tx, hold.session.id, {"pull_request": value})
        known = hold.session.pull_request
        if created or known is None or known.number != pull_request.number:
            entry: Entry = (EventType.PULL_REQUEST_OPENED, hold.run.id, value)
            self._journal.append(tx, hold.session.id, now(), entry)

    def settle(self, tx: Transaction, hold: Hold, outcome: Outcome) -> None:
        """The final state and its event; in the same transaction the run's place goes to the next one in turn."""
        self.guard(tx, hold)
        at = now()
        opened = outcome.pull_request or hold.run.pull_request
        values = {
            "state": outcome.state,
            "reason": outcome.reason,
            "message": outcome.message,
            "changed": outcome.changed,
            "head_sha": outcome.head_sha,
            "exit_code": outcome.exit_code,
            "pull_request": asdict(opened) if opened else None,
        }
        update = sa.update(_runs).where(_runs.c.id == hold.run.id)
        tx.execute(update.values(**values, ended_at=at, worker=None, checkpoints=sa.null()))
        artifacts.end_so_far(tx, hold.run.id)
        session_queries.refresh_session_state(tx, hold.session.id)
        self._journal.append(tx, hold.session.id, at, (EventType.RUN_ENDED, hold.run.id, values))
        following = unfinished_runs.next_run(tx, hold.session.id)
        self.places.leave(tx, hold.run.id)
        if following is not None:
            self.places.enter(tx, following, hold.session.owner)


def locked_run(tx: Transaction, run_id: str) -> sa.Row[Any] | None:
    """The run's row. Its session's row is locked before it, as everywhere: two orders could wait for each other."""
    query = sa.select(_runs).join(_sessions, _sessions.c.id == _runs.c.session_id).where(_runs.c.id == run_id)
    if tx.writes:  # Postgres locks in the order in which the tables are named
        query = query.with_for_update(of=[_sessions, _runs])
    return tx.execute(query).first()


def _session_of(run: Run) -> sa.Select[Any]:
    return sa.select(_sessions).where(_sessions.c.id == run.session_id)
