"""`scripts/chaos`: sessions go on while machines fail; then what must be true is looked at."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter

from gitward.sandboxes import namespaces

from .database import Database
from .driver import Driver, keep_running
from .injector import Injector
from .proof import Machine, Wrong, of_database, of_homes, of_logs, of_machine, of_repository, of_session
from .report import Report
from .world import World, world

PROGRESS_SECONDS = 10.0


async def chaos(options: argparse.Namespace) -> Report:
    """One whole run, from the first process to the last look at what is left."""
    before, began = Machine.now(), time.monotonic()
    wrong: list[Wrong] = []
    async with world(options.workers, seed=options.seed, keep=options.keep) as made:
        if options.keep:
            print(f"chaos: logs are in {made.root}", file=sys.stderr, flush=True)
        main = await made.repository.head("main")
        database = Database(made.postgres.url(made.database))
        injector = Injector(made, database)
        driver = Driver(made, database, number=options.sessions, seed=options.seed)
        deadline = began + options.minutes * 60

        def enough() -> bool:
            return time.monotonic() > deadline or (options.until_covered and injector.covered(options.kills))

        keepers = [asyncio.create_task(keep_running(made, worker)) for worker in made.workers]
        progress = asyncio.create_task(_progress(injector, began))
        try:
            await asyncio.gather(injector.run(enough), driver.run(lambda: not enough()))
            endings = await driver.endings()
        finally:
            for task in (progress, *keepers):
                task.cancel()
            await asyncio.gather(progress, *keepers, return_exceptions=True)
            await driver.close()
        taken_over = await database.takeovers()
        await _end_workers(made)
        for ended in endings:
            wrong += await of_session(ended, made.repository)
        wrong += await of_repository(endings, made.repository, main)
        wrong += await of_database(database)
        await database.close()
        wrong += of_homes([worker.folder for worker in made.workers])
        wrong += of_logs([worker.folder / "log" for worker in made.workers])
    wrong += await of_machine(before)
    return Report(
        seconds=time.monotonic() - began,
        sessions=len(endings),
        runs=sum(len(ended.session["runs"]) for ended in endings),
        retried=Counter(reason for ended in endings for reason in ended.retried),
        hits=injector.made,
        takeovers=injector.takeovers,
        taken_over=taken_over,
        wrong=wrong,
        wanted_kills=options.kills,
        lost_outright=injector.missed,
    )


async def _end_workers(made: World) -> None:
    for machine in (*made.workers, made.api):
        await made.end(machine)


async def _progress(injector: Injector, began: float) -> None:
    while True:
        await asyncio.sleep(PROGRESS_SECONDS)
        seconds = time.monotonic() - began
        print(f"chaos: {seconds:.0f} s, {len(injector.made)} faults", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__)
    parser.add_argument("--sessions", type=int, default=40, help="how many at least (default: 40)")
    parser.add_argument("--workers", type=int, default=2, help="how many processes (default: 2)")
    parser.add_argument("--minutes", type=float, default=5.0, help="how long faults are made (default: 5)")
    parser.add_argument("--kills", type=int, default=30, help="how many workers must be killed (default: 30)")
    parser.add_argument("--seed", type=int, default=0, help="of sessions and delays (default: 0)")
    parser.add_argument("--until-covered", action="store_true", help="stop when kills, kinds and steps are covered")
    parser.add_argument("--keep", action="store_true", help="leave the folders with the logs, and say where they are")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    # What loses its parent becomes this process's child: so nothing that is left over can hide.
    namespaces.become_subreaper()
    waiter = os.getpid()
    runner = os.fork()
    return _wait_for(runner) if runner else _run(options, waiter)


def _wait_for(runner: int) -> int:
    """Takes the end of all that ended, as a machine's process 1 does: a sandbox's user has no process then."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the runner, which ends what it started
    while True:
        pid, status = os.wait()
        if pid == runner:
            return abs(os.waitstatus_to_exitcode(status))


def _run(options: argparse.Namespace, waiter: int) -> int:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also in the background of a shell
    namespaces.follow_parent(signal.SIGINT, waiter)
    report = asyncio.run(chaos(options))
    problems = report.problems()
    print(json.dumps(report.to_json()) if options.json else "\n".join(report.lines()))
    for problem in problems:
        print(f"chaos: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
