"""One attempt at a run: it tells the session's log what happens while the attempt is the current one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from gitward.errors import Reason, RunFailure
from gitward.runs.checkpoints import RunCancelled
from gitward.runs.services import JobServices
from gitward.runs.storage.workspace_names import workspace_of
from gitward.sessions.artifacts import Origin
from gitward.sessions.model import ArtifactKind, EventType, Run, RunState, Session, StepName, StepState
from gitward.sessions.progress import Hold
from gitward.store.database import PASSING_ERRORS, Transaction
from gitward.workers.persistence import persist

log = logging.getLogger(__name__)

T = TypeVar("T")

EventEntry = tuple[EventType, Mapping[str, object]]  # its data become JSON; here nobody reads them again

_held_notices: ContextVar[list[str] | None] = ContextVar("held notices", default=None)

MAX_LOSSES = 5  # of a worker in the middle of one run; then the run is given up
CANCEL_POLL_SECONDS = 1.0  # when the wish comes from another process and no notification arrives


@dataclass(frozen=True, kw_only=True)
class StoredWork:
    """What the database has of a run's work."""

    head: str
    kinds: tuple[ArtifactKind, ...]  # one at least


class Attempt:
    """A run that this worker took."""

    def __init__(self, services: JobServices, hold: Hold) -> None:
        self.services = services
        self.hold = hold
        self.ending: StepState | None = None  # set when supervision ends the steps on purpose
        self.pushing_sha: str | None = None  # the head of our own push, once it has begun
        self.pushed_sha: str | None = None  # the head that is recorded as pushed by us
        self.stored_work: StoredWork | None = None  # of this attempt's work

    @property
    def session(self) -> Session:
        """As the hold has it: read when the attempt began."""
        return self.hold.session

    @property
    def run(self) -> Run:
        return self.hold.run

    @property
    def origin(self) -> Origin:
        """As whose work it is kept."""
        return Origin(run_id=self.run.id, attempt=self.hold.attempt)

    @property
    def workspace(self) -> Path:
        """The session's folder on this machine."""
        return workspace_of(self.services.settings.workspaces, self.session.id)

    @classmethod
    async def begin(cls, services: JobServices, run_id: str) -> Attempt:
        """Takes the run for this worker.

        :raises AttemptLost: it has ended.
        :raises LeaseLost: this worker was silent for too long.
        :raises RunFailure: `worker_lost`: it has cost too many workers.
        :raises RunCancelled: the owner asked for its end already.
        """
        what = f"Run {run_id}: taking it"
        hold = await persist(services.database, partial(_take, services, run_id), lease=services.lease, what=what)
        if hold.losses >= MAX_LOSSES:
            raise RunFailure(
                Reason.WORKER_LOST,
                f"The worker was lost {hold.losses} times while it ran this; check what the command does to the "
                "machine, then retry.",
            )
        if hold.run.state is RunState.CANCELLING:
            raise RunCancelled
        return cls(services, hold)

    @contextlib.asynccontextmanager
    async def step(self, name: StepName) -> AsyncIterator[None]:
        """Tells the beginning and the end of a step, with its time."""
        progress = self.services.progress
        await self.write(lambda tx: progress.start_step(tx, self.hold, name))
        began = time.monotonic()
        state = StepState.FAILED
        try:
            yield
            state = StepState.SUCCEEDED
        except RunCancelled:
            state = StepState.CANCELLED
            raise
        except asyncio.CancelledError:
            if self.ending is None:
                raise  # the worker is being stopped: the run belongs to whoever takes it over
            state = self.ending
            raise
        finally:
            if self.ending is not None or not being_stopped():
                seconds = time.monotonic() - began
                await self.write(lambda tx: progress.end_step(tx, self.hold, name, state, seconds))
                log.info("Run %s: %s %s in %.2f s", self.run.id, name, state, seconds)

    async def write(self, change: Callable[[Transaction], T]) -> T:
        """Makes a change to what is kept of the run, as soon as the database takes it."""
        services = self.services
        return await persist(services.database, change, lease=services.lease, what=f"Run {self.run.id}")

    async def record(self, *entries: EventEntry) -> None:
        """Tells the session's log, as soon as the database takes it."""
        await self.write(lambda tx: self.services.progress.record(tx, self.hold, *entries))

    async def record_now(self, *entries: EventEntry) -> None:
        """One try, for a caller who keeps what could not be told.

        :raises PASSING_ERRORS: the database cannot take it now.
        """
        await self.services.database.write(lambda tx: self.services.progress.record(tx, self.hold, *entries))

    async def record_push(self, head: str) -> None:
        """Records that GitHub accepted a push of the session's branch."""
        await self.write(lambda tx: self.services.progress.record_push(tx, self.hold, head))

    async def record_issue(self, number: int) -> None:
        """Records that GitHub opened an issue for the command."""
        await self.write(lambda tx: self.services.progress.record_issue(tx, self.hold, number))

    async def notice(self, message: str) -> None:
        """A sentence for whoever watches."""
        held = _held_notices.get()
        if held is not None:
            held.append(message)
        else:
            await self.record((EventType.NOTICE, {"message": message}))

    @contextlib.asynccontextmanager
    async def notices_if_it_ends_well(self) -> AsyncIterator[None]:
        """What this block, and the tasks that it starts, have to tell is told at its end; not when it raises."""
        held: list[str] = []
        before = _held_notices.set(held)
        try:
            yield
        finally:
            _held_notices.reset(before)
        for message in held:
            await self.notice(message)

    @contextlib.contextmanager
    def without_notices(self) -> Iterator[None]:
        """What this block has to tell is not told: it is done again later."""
        before = _held_notices.set([])
        try:
            yield
        finally:
            _held_notices.reset(before)

    async def wait_for_cancel(self) -> None:
        """Returns when the owner asked for the end; raises AttemptLost when another worker has the run.

        A database that does not answer for a while ends nothing: the next look may find it again.
        """
        guard = partial(self.services.progress.guard, hold=self.hold)
        with self.services.notifier.subscribe(self.session.id) as news:
            while True:
                try:
                    if await self.services.database.read(guard) is RunState.CANCELLING:
                        return
                except PASSING_ERRORS as error:
                    log.warning("Run %s: could not look for a cancel (%s)", self.run.id, type(error).__name__)
                await news.wait(CANCEL_POLL_SECONDS)


def _take(services: JobServices, run_id: str, tx: Transaction) -> Hold:
    """Takes the run, unless this worker may not act any more: it would take it from whoever has taken it over."""
    hold = services.progress.take(tx, run_id)
    services.lease.require()  # after the wait for the row's lock, and before the commit
    return hold


def being_stopped() -> bool:
    """Whether this task is being cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
