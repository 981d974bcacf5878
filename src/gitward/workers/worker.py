"""A worker: takes runs from the queue, takes over runs of lost workers, and stops when it is cut off."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import itertools
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from gitward.grants.lease_end import over
from gitward.store.database import Database
from gitward.store.notify import Notifier
from gitward.workers.checkpoints import checkpoint as checkpoint  # noqa: PLC0414  # where jobs look for it
from gitward.workers.file_lock import FileLock
from gitward.workers.heartbeat import BEAT_SECONDS, NoAnswer
from gitward.workers.queue import WAKE, Queue
from gitward.workers.shift import LOOK_SECONDS, Job, Shift

if TYPE_CHECKING:
    from gitward.workers.membership import Membership

log = logging.getLogger(__name__)

LEASE_SECONDS = 6.0
_PAUSES = (0.2, 0.5)  # seconds before each try to work again, then the last again: runs of lost workers wait for it
_TRIES_FOR_A_LINE = 20  # of the log

_TAKEN = (
    "GITWARD_DATABASE_URL: another worker already uses this database; stop it before you start this one, "
    "or use Postgres, which many workers can share"
)

MakeJob = Callable[[Shift], Job]


def pauses() -> Iterator[float]:
    """Seconds before each try to work again, without end."""
    return itertools.chain(_PAUSES, itertools.repeat(_PAUSES[-1]))


class State(enum.StrEnum):
    """What a worker is doing."""

    STOPPED = "stopped"
    WORKING = "working"
    CUT_OFF = "cut off"  # from the database; it takes runs again when it is back
    DRAINING = "draining"  # it takes no more runs


class Worker:
    """Executes runs from `start` to `stop`, in shifts: each lasts as long as the worker is surely seen alive."""

    def __init__(
        self,
        database: Database,
        *,
        queue: Queue,
        notifier: Notifier,
        slots: int,
        lease_seconds: float = LEASE_SECONDS,
        look_seconds: float = LOOK_SECONDS,
        children: Callable[[], Sequence[int | None]] = lambda: (),
        on_lease: Callable[[float], None] = lambda _until: None,
        may_take: Callable[[], bool] = lambda: True,
    ) -> None:
        """
        :param notifier: where it is told that a run may wait for it.
        :param look_seconds: between two looks at the queue, should nobody tell.
        :param children: pids of the processes that must end with this worker.
        :param on_lease: told again and again until when (of the boot clock) those processes may act.
        :param may_take: whether a run that begins now has a chance; it waits otherwise.
        """
        self._database = database
        self._queue = queue
        self._notifier = notifier
        self._slots = slots
        self._lease_seconds = lease_seconds
        self._look_seconds = look_seconds
        self._children = children
        self._on_lease = on_lease
        self._may_take = may_take
        self._file = FileLock(Path(f"{database.url.database}.worker"), _TAKEN) if database.is_sqlite else None
        self._membership: Membership | None = None
        self._shift: Shift | None = None
        self._main: asyncio.Task[None] | None = None
        self._abandoned: list[str] = []  # shifts that ended while the database could not be reached
        self.state = State.STOPPED

    async def acquire(self) -> None:
        """On SQLite: from here on nobody else works on this database.

        :raises SettingsError: another worker has it.
        """
        if self._file is not None:
            await asyncio.to_thread(self._file.acquire)

    async def start(self, make_job: MakeJob) -> None:
        """Begins to take runs.

        :raises SettingsError: another worker has the database.
        """
        await self.acquire()
        try:
            shift = await self._begin(make_job)
        except BaseException:
            await self._end_shift(hand_over=False)
            self._let_go()
            raise
        self._main = asyncio.create_task(self._work(shift, make_job), name="worker")
        self._main.add_done_callback(_end_process_on_failure)

    async def _begin(self, make_job: MakeJob) -> Shift:
        shift = self._shift = Shift(
            self._database,
            self._queue,
            self._notifier,
            slots=self._slots,
            look_seconds=self._look_seconds,
            may_take=self._may_take,
        )
        if self._database.is_sqlite:  # whoever holds the file's lock is the only one
            await self._database.write(lambda tx: self._queue.join_alone(tx, shift.id))
        else:
            from gitward.workers.membership import Membership

            self._membership = Membership(
                self._database, worker=shift.id, lease_seconds=self._lease_seconds, children=self._children
            )
            shift.lease = await self._membership.join()
            self._on_lease(shift.lease.until)
            await self._forget_abandoned(self._membership)
        await shift.begin(make_job(shift))
        self.state = State.WORKING
        return shift

    async def _forget_abandoned(self, membership: Membership) -> None:
        """What an earlier shift of this process had, others may take at once, and nobody counts it as a loss."""
        for worker in tuple(self._abandoned):
            await self._database.write(partial(self._queue.release, worker=worker))
            await membership.remove(worker)
            self._abandoned.remove(worker)

    async def _work(self, shift: Shift, make_job: MakeJob) -> None:
        """Shift after shift, each for as long as its lease is renewed."""
        while True:
            await self._watch(shift)
            log.error("The lease is lost: every run of this worker is stopped, others may take them over")
            self._on_lease(0.0)
            self._database.sever()  # no call of a job shall wait for a server that may be silent for ever
            self._abandoned.append(shift.id)
            try:
                await self._end_shift(hand_over=False)
            except TimeoutError:
                log.critical("A run does not end; this process ends, to stop everything of it")
                os._exit(1)
            if self.state is State.DRAINING:
                return
            self.state = State.CUT_OFF
            shift = await self._begin_again(make_job)
            log.warning("Back at work as %s", shift.id)

    async def _watch(self, shift: Shift) -> None:
        """Returns when the lease is over."""
        if self._membership is None:
            await over(shift.lease)
            return
        tasks = [
            asyncio.create_task(each)
            for each in (self._beat(shift, self._membership), self._check(self._membership), over(shift.lease))
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            shift.lease.give_up()  # not when the worker is stopped: it goes on beating while its jobs end
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _beat(self, shift: Shift, membership: Membership) -> None:
        """Returns when others have struck this worker off."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                if not await membership.beat(shift.lease):
                    return
            except (NoAnswer, OSError) as error:
                log.warning("No heartbeat reached the database (%s); %.1f s left", _kind(error), shift.lease.left)
            else:
                self._on_lease(shift.lease.until)

    async def _check(self, membership: Membership) -> None:
        """Strikes off whoever is gone: its runs belong to nobody from then on, and whoever has room takes them."""
        while True:
            try:
                if await membership.check():
                    self._notifier.notify(WAKE)
            except (NoAnswer, OSError) as error:
                log.warning("The other workers cannot be checked (%s)", _kind(error))
            except Exception:  # the edge of a task that must go on
                log.exception("The other workers could not be checked; trying again")
            await asyncio.sleep(BEAT_SECONDS)

    async def _begin_again(self, make_job: MakeJob) -> Shift:
        for tries, pause in enumerate(pauses()):
            await asyncio.sleep(pause)
            try:
                return await self._begin(make_job)
            except (NoAnswer, sa.exc.SQLAlchemyError, OSError) as error:
                if tries % _TRIES_FOR_A_LINE == 0:
                    log.warning("The database cannot be used yet (%s)", _kind(error))
                await self._end_beginning()
        raise AssertionError("the pauses do not end")

    async def _end_beginning(self) -> None:
        """Of a shift that has done nothing; who does not answer is not asked for a goodbye, too."""
        membership, self._membership = self._membership, None
        if membership is not None:
            await membership.disconnect()
        await self._end_shift(hand_over=False)

    async def drain(self, seconds: float) -> None:
        """Takes no more runs, and gives those in progress some time to end."""
        self.state = State.DRAINING
        shift = self._shift
        if shift is None:
            return
        shift.close()
        if shift.running:
            log.info(
                "Waiting up to %g s for %d run(s); a second signal hands them over at once", seconds, shift.running
            )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await shift.idle()

    async def stop(self) -> None:
        """Takes no more runs, ends those in progress and hands them over: they stay `running`, for others to take."""
        if self._main is not None:
            self._main.cancel()
            await asyncio.wait([self._main])
            self._main = None
        await self._end_shift(hand_over=True)
        self._let_go()
        self.state = State.STOPPED

    async def _end_shift(self, *, hand_over: bool) -> None:
        shift, self._shift = self._shift, None
        membership, self._membership = self._membership, None
        if shift is None:
            return
        beating = None
        if hand_over and membership is not None:
            beating = asyncio.create_task(self._beat(shift, membership))
        try:
            await shift.end_jobs()
            if hand_over:
                await self._give_back(shift)
        finally:
            if beating is not None:
                beating.cancel()
                await asyncio.wait([beating])
            if membership is not None:
                await membership.leave()

    async def _give_back(self, shift: Shift) -> None:
        try:
            await shift.hand_over()
            if self._database.is_sqlite:
                await self._database.write(lambda tx: self._queue.leave(tx, shift.id))
        except Exception:  # the edge: whatever the driver raises, others find the runs by themselves
            log.exception("The runs could not be handed over; others take them when the lease ends")

    def _let_go(self) -> None:
        if self._file is not None:
            self._file.release()


def _kind(error: Exception) -> str:
    return str(error) if isinstance(error, NoAnswer) else type(error).__name__


def _end_process_on_failure(work: asyncio.Task[None]) -> None:
    """Nobody else looks at the task of a worker: one that goes on without it takes runs, and renews no lease."""
    if not work.cancelled() and (error := work.exception()) is not None:
        log.critical("The worker failed; this process ends, so that others take its runs over", exc_info=error)
        os._exit(1)
