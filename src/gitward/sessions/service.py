"""What a caller can do with sessions. Every method uses the caller's transaction and checks the owner."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from gitward.errors import Conflict, NotFound
from gitward.sessions import (
    artifacts,
    audit_log,
    publish_request,
    run_queries,
    session_list,
    session_queries,
    unfinished_runs,
)
from gitward.sessions.audit_log import Act
from gitward.sessions.journal import Entry, Journal
from gitward.sessions.model import (
    ArtifactKind,
    Event,
    EventType,
    Instruction,
    Owner,
    Run,
    RunState,
    Session,
    new_id,
    now,
)
from gitward.sessions.new_session import NewSession, in_session, session_from
from gitward.sessions.places import Places, Standing
from gitward.sessions.publish_request import PublishChange
from gitward.sessions.queue_status import explain, explain_new
from gitward.sessions.session_list import Page, SessionFilter
from gitward.sessions.webhooks import insert_callback
from gitward.store.database import Transaction

Check = Callable[[Session], None]


@dataclass(frozen=True, kw_only=True)
class SessionChange:
    """What PATCH may set; None leaves a value as it is."""

    title: str | None = None
    labels: tuple[str, ...] | None = None
    archived: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Published:
    """The run that publishes kept work."""

    run: Run
    created: bool  # False: it was asked for before


class SessionService:
    """Sessions and runs as their owner sees them."""

    def __init__(self, *, places: Places, journal: Journal) -> None:
        self._places = places
        self._journal = journal

    def create_session(self, tx: Transaction, owner: Owner, new: NewSession) -> Session:
        """Writes session, first run, events and job in `tx`.

        :raises Conflict: this branch of this repository is taken.
        """
        at = now()
        session = session_from(new, owner, at)
        instruction = in_session(session, new.instruction)
        run = run_queries.new_run(session, instruction, run_id=new_id("run"), number=1, at=at, retry_of=None)
        told: list[Entry] = [(EventType.SESSION_CREATED, None, _created(session)), _queued(run)]
        session_queries.insert_session(tx, session, last_seq=len(told))
        run_queries.insert_run(tx, run)
        if new.callback is not None:
            insert_callback(tx, session.id, new.callback)
        self._journal.add(tx, session.id, 1, at, *told)
        audit_log.note(
            tx,
            Act.SESSION_POSTED,
            owner,
            session_id=session.id,
            run_id=run.id,
            repo=new.repo,
            schedule_id=new.schedule_id,
        )
        run = self._enter(tx, owner, run, self._places.standing_for_entry(tx, owner))
        return replace(session, runs=(run,))

    def note_claims(self, tx: Transaction, owner: Owner, session_id: str, claims: Mapping[str, Any]) -> None:
        """By these claims the session is allowed from now on: the job asks the rules again when a repository moved."""
        session = self._own(tx, owner, session_id, lock=True)
        if session.claims != claims:
            session_queries.update_session(tx, session_id, {"claims": dict(claims)})

    def add_run(
        self,
        tx: Transaction,
        owner: Owner,
        session_id: str,
        instruction: Instruction,
        *,
        check: Check = lambda _session: None,
    ) -> Run:
        """Queues a follow-up behind the session's other runs.

        :param check: raises when the session may not have another run, as far as others than this service know.
        :raises Conflict: the session is archived.
        """
        at = now()
        session, seq = self._append_to(tx, owner, session_id, at, check)
        earlier, standing = unfinished_runs.find_surroundings(tx, session)
        run = self._follow(
            tx, session, in_session(session, instruction), at=at, seq=seq, earlier=earlier, standing=standing
        )
        audit_log.note(tx, Act.FOLLOW_UP, owner, session_id=session_id, run_id=run.id, repo=session.repo)
        return run

    def retry(
        self,
        tx: Transaction,
        owner: Owner,
        session_id: str,
        run_id: str,
        *,
        check: Check = lambda _session: None,
    ) -> Run:
        """A new run with the instruction of an ended one.

        :param check: as of `add_run`.
        :raises Conflict: the run has not ended yet, or the session is archived.
        """
        at = now()
        session, seq = self._append_to(tx, owner, session_id, at, check)
        found = unfinished_runs.find_run_and_surroundings(tx, session, run_id)
        if found is None:
            raise NotFound("This session has no such run.")
        old, earlier, standing = found
        if not old.state.is_final:
            raise Conflict(f"Run {old.number} is still {old.state}; only an ended run can be retried.")
        run = self._follow(
            tx, session, old.instruction, at=at, seq=seq, earlier=earlier, standing=standing, retry_of=old.id
        )
        audit_log.note(
            tx, Act.RUN_RETRIED, owner, session_id=session_id, run_id=run.id, repo=session.repo, retry_of=old.id
        )
        return run

    def publish(
        self,
        tx: Transaction,
        owner: Owner,
        session_id: str,
        run_id: str,
        change: PublishChange,
        *,
        check: Check = lambda _session: None,
    ) -> Published:
        """A new run that publishes what an ended one kept, without running anything again.

        Asked again it is the same run, unless that one failed or was cancelled. The work of a run that publishes is
        the work that it publishes.

        :param check: as of `add_run`.
        :raises Conflict: there is nothing to publish, or the session is archived.
        """
        session = self._own(tx, owner, session_id, lock=True)
        check(session)
        found = unfinished_runs.find_run_and_surroundings(tx, session, run_id)
        if found is None:
            raise NotFound("This session has no such run.")
        run, unfinished, standing = found
        if run.publish_of is not None:
            run = run_queries.find_run(tx, session_id, run.publish_of) or run
        earlier = run_queries.run_that_publishes(tx, run, unless=publish_request.SETTLED)
        if earlier is not None:
            return Published(run=self.get_run(tx, owner, session_id, earlier), created=False)
        kept = artifacts.latest(tx, session_id, ArtifactKind.BUNDLE, run_id=run.id)
        instruction = publish_request.instruction_of(session, run, kept, change)
        at = now()
        session, seq = self._append_to(tx, owner, session_id, at, check=lambda _session: None)
        made = self._follow(tx, session, instruction, at=at, seq=seq, earlier=unfinished, standing=standing)
        audit_log.note(
            tx, Act.RUN_PUBLISHED, owner, session_id=session_id, run_id=made.id, repo=session.repo, publish_of=run.id
        )
        return Published(run=made, created=True)

    def _append_to(
        self, tx: Transaction, owner: Owner, session_id: str, at: datetime, check: Check
    ) -> tuple[Session, int]:
        """The session, locked and told to be queued again, and the `seq` for one event."""
        row = session_queries.reopen(tx, owner, session_id, at)
        if row is None:
            raise NotFound("There is no such session.")
        session, seq = row
        check(session)
        if session.archived:
            raise Conflict("The session is archived; set archived to false before you add runs.")
        return session, seq

    def _follow(
        self,
        tx: Transaction,
        session: Session,
        instruction: Instruction,
        *,
        at: datetime,
        seq: int,
        earlier: int,
        standing: Standing,
        retry_of: str | None = None,
    ) -> Run:
        new = run_queries.new_run(session, instruction, run_id=new_id("run"), number=0, at=at, retry_of=retry_of)
        run = replace(new, number=run_queries.insert_following_run(tx, new))
        self._journal.add(tx, session.id, seq, at, _queued(run))
        if earlier:  # of one session only the head waits for a place; when it settles, the next one does
            return run_queries.queued_behind(run, earlier)
        return self._enter(tx, session.owner, run, standing)

    def _enter(self, tx: Transaction, owner: Owner, run: Run, standing: Standing) -> Run:
        has_place = self._places.enter(tx, run.id, owner, standing)
        return explain_new(run, standing, self._places.limits, has_place=has_place)

    def cancel(self, tx: Transaction, owner: Owner, session_id: str, *, by: str | None = None) -> Session:
        """Ends what is queued at once and asks what is running to end. Of ended runs it changes nothing.

        :param by: who wished it, for the audit log, if it was not the owner.
        """
        session = self._own(tx, owner, session_id, lock=True)
        at = now()
        unfinished = unfinished_runs.list_unfinished(tx, session_id)
        ended = {"state": RunState.CANCELLED, "reason": None, "message": session_queries.CANCELLED_EARLY}
        told: dict[RunState, tuple[EventType, dict[str, Any]]] = {
            RunState.QUEUED: (EventType.RUN_ENDED, ended),
            RunState.RUNNING: (EventType.RUN_CANCELLING, {}),
        }
        entries: list[Entry] = [
            (told[run.state][0], run.id, told[run.state][1]) for run in unfinished if run.state in told
        ]
        if entries:
            session, seq = session_queries.cancel_runs(
                tx, session_id, at, states={run.state for run in unfinished}, events=len(entries)
            )
            self._journal.add(tx, session_id, seq, at, *entries)
            audit_log.note(tx, Act.SESSION_CANCELLED, owner, session_id=session_id, repo=session.repo, by=by)
        if unfinished and unfinished[0].state is RunState.QUEUED:  # only the first of a session has a ticket
            self._places.leave(tx, unfinished[0].id)
        return self._with_runs(tx, owner, session)

    def change(self, tx: Transaction, owner: Owner, session_id: str, change: SessionChange) -> Session:
        """:raises Conflict: an active session cannot be archived."""
        session = self._own(tx, owner, session_id, lock=True)
        if change.archived and unfinished_runs.count_unfinished(tx, session_id):
            raise Conflict("The session has runs that are not finished; cancel them before you archive it.")
        values = {name: value for name, value in asdict(change).items() if value is not None}
        changed = {name: value for name, value in values.items() if getattr(session, name) != value}
        if changed:
            session_queries.update_session(tx, session_id, changed)
            self._journal.append(tx, session_id, now(), (EventType.SESSION_UPDATED, None, changed))
        if "archived" in changed:
            act = Act.SESSION_ARCHIVED if change.archived else Act.SESSION_UNARCHIVED
            audit_log.note(tx, act, owner, session_id=session_id, repo=session.repo)
        return self.get_session(tx, owner, session_id)

    def check_owner(self, tx: Transaction, owner: Owner, session_id: str) -> None:
        """:raises NotFound: there is none, or it is another owner's."""
        self._own(tx, owner, session_id)

    def get_session(self, tx: Transaction, owner: Owner, session_id: str) -> Session:
        """:raises NotFound: there is none, or it is another owner's."""
        return self._with_runs(tx, owner, self._own(tx, owner, session_id))

    def _with_runs(self, tx: Transaction, owner: Owner, session: Session) -> Session:
        return replace(session, runs=self.explained(tx, owner, run_queries.latest_runs(tx, session.id)))

    def get_run(self, tx: Transaction, owner: Owner, session_id: str, run_id: str) -> Run:
        """:raises NotFound: there is none in this session of this owner."""
        self._own(tx, owner, session_id)
        run = run_queries.find_run(tx, session_id, run_id)
        if run is None:
            raise NotFound("This session has no such run.")
        return self.explained(tx, owner, (run,))[0]

    def list_runs(
        self, tx: Transaction, owner: Owner, session_id: str, *, before: int | None, limit: int
    ) -> Sequence[Run]:
        """The session's runs, newest first: those with a smaller number than `before`."""
        self._own(tx, owner, session_id)
        return self.explained(tx, owner, run_queries.runs_before(tx, session_id, before, limit))

    def list_sessions(self, tx: Transaction, owner: Owner, wanted: SessionFilter) -> Page:
        """The owner's sessions, newest first."""
        page = session_list.list_sessions(tx, owner, wanted)
        runs = {run.id: run for run in self.explained(tx, owner, [r for each in page.items for r in each.runs])}
        items = [replace(each, runs=tuple(runs[run.id] for run in each.runs)) for each in page.items]
        return replace(page, items=tuple(items))

    def explained(self, tx: Transaction, owner: Owner, runs: Sequence[Run]) -> tuple[Run, ...]:
        """The owner's runs, each queued one with the reason why it waits and its place."""
        return explain(tx, owner, self._places.limits, runs)

    def events(
        self,
        tx: Transaction,
        owner: Owner,
        session_id: str,
        *,
        after: int,
        limit: int,
        run_id: str | None = None,
    ) -> Sequence[Event]:
        self._own(tx, owner, session_id)
        return self._journal.read(tx, session_id, after=after, limit=limit, run_id=run_id)

    def _own(self, tx: Transaction, owner: Owner, session_id: str, *, lock: bool = False) -> Session:
        session = session_queries.find_session(tx, session_id, lock=lock)
        if session is None or session.owner != owner:
            raise NotFound("There is no such session.")
        return session


def _queued(run: Run) -> Entry:
    origin = {"publish_of": run.publish_of} if run.publish_of else {}
    return EventType.RUN_QUEUED, run.id, {"number": run.number, "retry_of": run.retry_of, **origin}


def _created(session: Session) -> dict[str, str]:
    origin = {"schedule_id": session.schedule_id} if session.schedule_id else {}
    return {"repo": session.repo, "branch": session.branch, **origin}
