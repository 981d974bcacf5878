"""Makes faults, one after the other, where they have been missed most."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable

from gitward.sessions.model import StepName
from small_disks import fill, seen_by

from .database import Database, Running
from .faults import LOSES_WORKER, Hit, Kind, Takeover, next_kind, overlap, steps_by_need
from .world import LAUNCHER, LEASE_SECONDS, PARENT, Machine, World, broker_of, child_of, send

LOOK_SECONDS = 0.01
PATIENCE_SECONDS = 3.0  # for a run to come into the step that is wanted; then any will do
FIRST_PATIENCE_SECONDS = 20.0  # the same for a step that was never hit: runs need peace to come that far
RECOVERY_SECONDS = 60.0  # for another worker to go on with a run; far beyond what is promised, which is a figure
FULL_SECONDS = 2.0  # that a disk stays full
SLACK = 2  # hits by which a step may be ahead of the least hit one
BEARABLE_LOSSES = 3  # a run that cost more workers is spared, as Gitward itself gives it up after five

Find = Callable[[int], int | None]  # from a worker to a process of its


class Injector:
    """`made` is what it did; `takeovers` how long each lost run waited for another worker."""

    def __init__(self, world: World, database: Database) -> None:
        self.made: list[Hit] = []
        self.missed: list[Hit] = []  # nobody went on with the run
        self._world = world
        self._database = database
        self._watching: set[asyncio.Task[None]] = set()
        self._went_on: list[tuple[Hit, float]] = []  # and when, in seconds since the epoch
        self._away: list[tuple[float, float]] = []  # when the database was
        self._do: dict[Kind, Callable[[Machine], Awaitable[None]]] = {
            Kind.KILL: self._signal(signal.SIGKILL),
            Kind.TERMINATE: self._signal(signal.SIGTERM),
            Kind.BROKER: self._kill(broker_of),
            Kind.PARENT: self._kill(_parent_of),
            Kind.DATABASE: self._restart_database,
            Kind.STOP: self._stop,
            Kind.CUT: self._cut,
            Kind.LAUNCHER_STOP: self._stop_child(_launcher_of),
            Kind.BROKER_STOP: self._stop_child(broker_of),
            Kind.PARENT_STOP: self._stop_child(_parent_of),
            Kind.DATABASE_STOP: self._stop_database,
            Kind.DISK: self._fill_disk,
        }

    @property
    def takeovers(self) -> list[Takeover]:
        """Once `run` has returned: until then the database's absence may not be known yet."""
        return [Takeover(hit=hit, whole=at - hit.at, away=overlap(self._away, hit.at, at)) for hit, at in self._went_on]

    def covered(self, kills: int) -> bool:
        """Whether every kind and every step was hit, and enough workers were killed."""
        kinds, steps = {hit.kind for hit in self.made}, {hit.step for hit in self.made}
        return kinds == set(Kind) and steps == set(StepName) and sum(h.kind is Kind.KILL for h in self.made) >= kills

    async def run(self, enough: Callable[[], bool]) -> None:
        """Until it is enough; returns when every lost run has been taken over, or was missed."""
        while not enough():
            kind = next_kind(self.made)
            target = await self._target(steps_by_need(self.made))
            machine = await self._machine_of(target) if target else None
            if target is None or machine is None:
                await asyncio.sleep(LOOK_SECONDS)
                continue
            hit = Hit(kind=kind, step=target.step, run_id=target.run_id, worker=target.worker, at=time.time())
            self.made.append(hit)
            if kind in LOSES_WORKER:
                watch = asyncio.create_task(self._watch(hit))
                self._watching.add(watch)
                watch.add_done_callback(self._watching.discard)
            await self._do[kind](machine)
        await asyncio.gather(*self._watching)

    async def _target(self, wanted: list[StepName]) -> Running | None:
        """A run in one of the steps that were hit least; after a while in any."""
        hits = {step: sum(hit.step is step for hit in self.made) for step in wanted}
        few = min(hits.values())
        deadline = time.monotonic() + (PATIENCE_SECONDS if few else FIRST_PATIENCE_SECONDS)
        while True:
            running = [run for run in await self._database.running() if run.losses <= BEARABLE_LOSSES]
            target = min(running, key=lambda run: hits[run.step], default=None)
            if target is not None and hits[target.step] <= few + (SLACK if few else 0):
                return target
            if time.monotonic() > deadline:
                return target
            await asyncio.sleep(LOOK_SECONDS)

    async def _machine_of(self, target: Running) -> Machine | None:
        pid = await self._database.pid_of(target.worker)
        return next((each for each in self._world.workers if each.alive and each.pid == pid), None)

    async def _watch(self, hit: Hit) -> None:
        deadline = time.monotonic() + RECOVERY_SECONDS
        while time.monotonic() < deadline:
            at = await self._database.goes_on(hit.run_id, hit.at)
            if at is not None:
                self._went_on.append((hit, at))
                return
            if await self._database.has_ended(hit.run_id):
                return  # it had ended when the fault came, just after it was looked for
            await asyncio.sleep(0.05)
        self.missed.append(hit)

    def _signal(self, sig: signal.Signals) -> Callable[[Machine], Awaitable[None]]:
        async def send_to(machine: Machine) -> None:
            send(machine.pid, sig)

        return send_to

    def _kill(self, find: Find) -> Callable[[Machine], Awaitable[None]]:
        async def kill(machine: Machine) -> None:
            found = find(machine.pid)
            if found is not None:
                send(found, signal.SIGKILL)

        return kill

    async def _restart_database(self, _machine: Machine) -> None:
        postgres, began = self._world.postgres, time.time()
        await asyncio.to_thread(postgres.stop, signal.SIGQUIT)  # without a goodbye: it recovers from its log
        await asyncio.to_thread(postgres.start)
        self._away.append((began, time.time()))

    async def _stop(self, machine: Machine) -> None:
        """Stopped for longer than its lease; then it wakes, and must see that it has lost."""
        pid = machine.pid
        send(pid, signal.SIGSTOP)
        await asyncio.sleep(LEASE_SECONDS + 2)
        send(pid, signal.SIGCONT)

    def _stop_child(self, find: Find) -> Callable[[Machine], Awaitable[None]]:
        """Stopped for longer than a lease. Its worker may have replaced it when it wakes."""

        async def stop(machine: Machine) -> None:
            child = find(machine.pid)
            if child is not None and send(child, signal.SIGSTOP):
                await asyncio.sleep(LEASE_SECONDS + 2)
                send(child, signal.SIGCONT)

        return stop

    async def _stop_database(self, _machine: Machine) -> None:
        began = time.time()
        self._world.postgres.pause()
        try:
            await asyncio.sleep(LEASE_SECONDS + 2)
        finally:
            self._away.append((began, time.time()))
            self._world.postgres.resume()

    async def _fill_disk(self, machine: Machine) -> None:
        with contextlib.suppress(OSError):  # the worker ended, and in a namespace of its own the disk with it
            disk = machine.folder / "data"
            filler = await asyncio.to_thread(fill, seen_by(machine.pid, disk) if machine.prefix else disk)
            await asyncio.sleep(FULL_SECONDS)
            filler.unlink()

    async def _cut(self, machine: Machine) -> None:
        machine.link.cut()
        await asyncio.sleep(LEASE_SECONDS + 2)
        machine.link.mend()


def _launcher_of(worker: int) -> int | None:
    return child_of(worker, LAUNCHER)


def _parent_of(worker: int) -> int | None:
    return child_of(worker, PARENT)
