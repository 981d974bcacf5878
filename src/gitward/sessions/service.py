"""What a caller can do with sessions. Every method works in the caller's transaction and checks the owner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from gitward.errors import Conflict, NotFound
from gitward.sessions import artifacts, publishing, queries
from gitward.sessions.journal import Entry, Journal
from gitward.sessions.model import (
    ArtifactKind,
    Environment,
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
from gitward.sessions.places import Places
from gitward.sessions.publishing import PublishChange
from gitward.sessions.queries import Page, SessionFilter
from gitward.sessions.waiting import explain
from gitward.store.database import Transaction
from gitward.telemetry.redaction import Redactor

SHORT_ID = 8  # characters of the session's id that name its branch


@dataclass(frozen=True, kw_only=True)
class NewSession:
    """A valid request for a session."""

    repo: str
    target_branch: str | None = None
    branch: str | None = None  # None: gitward/<short id>
    title: str | None = None
    labels: tuple[str, ...] = ()
    submodules: tuple[str, ...] = ()
    allow_workflows: bool = False
    environment: Environment = Environment.HOST
    instruction: Instruction = Instruction()
    schedule_id: str | None = None
    scheduled_for: datetime | None = None


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

    async def create_session(self, tx: Transaction, owner: Owner, new: NewSession) -> Session:
        """Writes session, first run, events and job in `tx`.

        :raises Conflict: another session has this branch of this repository.
        """
        at = now()
        session_id = new_id("ses")
        branch = new.branch or f"gitward/{session_id.removeprefix('ses_')[:SHORT_ID]}"
        session = Session(
            id=session_id,
            owner=owner,
            repo=new.repo,
            target_branch=new.target_branch,
            branch=branch,
            title=new.title or _title(new.instruction),
            labels=new.labels,
            submodules=new.submodules,
            allow_workflows=new.allow_workflows,
            environment=new.environment,
            state=RunState.QUEUED,
            archived=False,
            pull_request=None,
            pushed_sha=None,
            schedule_id=new.schedule_id,
            scheduled_for=new.scheduled_for,
            created_at=at,
            updated_at=at,
        )
        await queries.insert_session(tx, session)
        created: Entry = (EventType.SESSION_CREATED, None, _created(session))
        run = await self._add_run(tx, session, new.instruction, number=1, at=at, before=(created,))
        return replace(session, runs=(run,))

    async def add_run(
        self,
        tx: Transaction,
        owner: Owner,
        session_id: str,
        instruction: Instruction,
        *,
        retry_of: str | None = None,
    ) -> Run:
        """Queues a follow-up behind the session's other runs.

        :raises Conflict: the session is archived.
        """
        session = await self._own(tx, owner, session_id, lock=True)
        if session.archived:
            raise Conflict("The session is archived; set archived to false before you add runs.")
        last = await queries.last_run_number(tx, session_id)
        return await self._add_run(tx, session, instruction, number=last + 1, at=now(), retry_of=retry_of)

    async def retry(self, tx: Transaction, owner: Owner, session_id: str, run_id: str) -> Run:
        """A new run with the instruction of an ended one.

        :raises Conflict: the run has not ended yet.
        """
        run = await self.get_run(tx, owner, session_id, run_id)
        if not run.state.is_final:
            raise Conflict(f"Run {run.number} is still {run.state}; only an ended run can be retried.")
        return await self.add_run(tx, owner, session_id, run.instruction, retry_of=run.id)

    async def publish(
        self, tx: Transaction, owner: Owner, session_id: str, run_id: str, change: PublishChange
    ) -> Published:
        """A new run that publishes what an ended one kept, without running anything again.

        Asked again it is the same run, unless that one failed or was cancelled. The work of a run that publishes is
        the work that it publishes.

        :raises Conflict: there is nothing to publish, or the session is archived.
        """
        session = await self._own(tx, owner, session_id, lock=True)
        asked = await self.get_run(tx, owner, session_id, run_id)
        runs = await queries.runs_of(tx, session_id)
        run = next((each for each in runs if each.id == asked.publish_of), asked)
        earlier = publishing.under_way(runs, run)
        if earlier is not None:
            return Published(run=await self.get_run(tx, owner, session_id, earlier.id), created=False)
        kept = await artifacts.latest(tx, session_id, ArtifactKind.BUNDLE, run_id=run.id)
        instruction = publishing.instruction_of(session, run, kept, change)
        return Published(run=await self.add_run(tx, owner, session_id, instruction), created=True)

    async def _add_run(
        self,
        tx: Transaction,
        session: Session,
        instruction: Instruction,
        *,
        number: int,
        at: datetime,
        retry_of: str | None = None,
        before: Sequence[Entry] = (),
    ) -> Run:
        run = queries.new_run(session, instruction, run_id=new_id("run"), number=number, at=at, retry_of=retry_of)
        earlier = await queries.count_unfinished_runs(tx, session.id)
        await queries.insert_run(tx, run)
        queued: Entry = (EventType.RUN_QUEUED, run.id, _queued(run))
        await self._journal.append(tx, session.id, at, *before, queued)
        if not earlier:  # of one session only the head waits for a place; when it settles, the next one does
            await self._places.enter(tx, run.id, session.owner)
        return (await self._explain(tx, session.owner, (queries.queued_behind(run, earlier),)))[0]

    async def cancel(self, tx: Transaction, owner: Owner, session_id: str) -> Session:
        """Ends what is queued at once and asks what is running to end. Of ended runs it changes nothing."""
        await self._own(tx, owner, session_id, lock=True)
        at = now()
        unfinished = await queries.unfinished_runs(tx, session_id)
        if any(run.state is not RunState.CANCELLING for run in unfinished):
            await queries.cancel_runs(tx, session_id, at)
        ended = {"state": RunState.CANCELLED, "reason": None, "message": queries.CANCELLED_EARLY}
        told: dict[RunState, tuple[EventType, dict[str, Any]]] = {
            RunState.QUEUED: (EventType.RUN_ENDED, ended),
            RunState.RUNNING: (EventType.RUN_CANCELLING, {}),
        }
        entries: list[Entry] = [
            (told[run.state][0], run.id, told[run.state][1]) for run in unfinished if run.state in told
        ]
        await self._journal.append(tx, session_id, at, *entries)
        if unfinished and unfinished[0].state is RunState.QUEUED:  # only the first of a session has a ticket
            await self._places.leave(tx, unfinished[0].id)
        return await self.get_session(tx, owner, session_id)

    async def change(self, tx: Transaction, owner: Owner, session_id: str, change: SessionChange) -> Session:
        """:raises Conflict: an active session cannot be archived."""
        session = await self._own(tx, owner, session_id, lock=True)
        if change.archived and await queries.count_unfinished_runs(tx, session_id):
            raise Conflict("The session has runs that are not finished; cancel them before you archive it.")
        values = {name: value for name, value in asdict(change).items() if value is not None}
        changed = {name: value for name, value in values.items() if getattr(session, name) != value}
        if changed:
            await queries.update_session(tx, session_id, changed)
            await self._journal.append(tx, session_id, now(), (EventType.SESSION_UPDATED, None, changed))
        return await self.get_session(tx, owner, session_id)

    async def get_session(self, tx: Transaction, owner: Owner, session_id: str) -> Session:
        """:raises NotFound: there is none, or it is another owner's."""
        session = await self._own(tx, owner, session_id)
        runs = await self._explain(tx, owner, await queries.runs_of(tx, session_id))
        return replace(session, runs=runs)

    async def get_run(self, tx: Transaction, owner: Owner, session_id: str, run_id: str) -> Run:
        """:raises NotFound: there is none in this session of this owner."""
        await self._own(tx, owner, session_id)
        runs = await queries.runs_of(tx, session_id, run_id=run_id)
        if not runs:
            raise NotFound("This session has no such run.")
        return (await self._explain(tx, owner, runs))[0]

    async def list_sessions(self, tx: Transaction, owner: Owner, wanted: SessionFilter) -> Page:
        """The owner's sessions, newest first."""
        page = await queries.list_sessions(tx, owner, wanted)
        runs = {run.id: run for run in await self._explain(tx, owner, [r for each in page.items for r in each.runs])}
        items = [replace(each, runs=tuple(runs[run.id] for run in each.runs)) for each in page.items]
        return replace(page, items=tuple(items))

    async def _explain(self, tx: Transaction, owner: Owner, runs: Sequence[Run]) -> tuple[Run, ...]:
        return await explain(tx, owner, self._places.limits, runs)

    async def events(
        self,
        tx: Transaction,
        owner: Owner,
        session_id: str,
        *,
        after: int,
        limit: int,
        run_id: str | None = None,
    ) -> Sequence[Event]:
        await self._own(tx, owner, session_id)
        return await self._journal.read(tx, session_id, after=after, limit=limit, run_id=run_id)

    async def _own(self, tx: Transaction, owner: Owner, session_id: str, *, lock: bool = False) -> Session:
        session = await queries.find_session(tx, session_id, lock=lock)
        if session is None or session.owner != owner:
            raise NotFound("There is no such session.")
        return session


def _created(session: Session) -> dict[str, str]:
    origin = {"schedule_id": session.schedule_id} if session.schedule_id else {}
    return {"repo": session.repo, "branch": session.branch, **origin}


def _queued(run: Run) -> dict[str, Any]:
    origin = {"publish_of": run.publish_of} if run.publish_of else {}
    return {"number": run.number, "retry_of": run.retry_of, **origin}


def _title(instruction: Instruction) -> str:
    """Fit for a list, a commit and a pull request that others read: one line, and no token that was put into it."""
    if instruction.command is None:
        return "Check out the repository"
    first = (instruction.command.strip().splitlines() or [""])[0]
    shown = "".join(c if c.isprintable() else " " for c in Redactor().text(first))
    return "Run " + (shown if len(shown) <= 72 else shown[:71] + "…")
