"""Makes the files beside it: a database of revision 0007, whose queue was DBOS's, while a worker was busy with it.

Runs only with sources whose queue is DBOS's, the last ones before docs/adr/0017-one-store-one-queue.md. They know
revision 0006; 0007 gave `sessions` the column `claims`, which is empty in what is older. Arguments: a database URL, and
where the dump goes; the program pg_dump must be at PG_DUMP for a Postgres.

Four places: two runs are in progress (one of them is to be cancelled), two wait for a worker, two for a place.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

QUEUED, RUNNING = 4, 2


async def main(url: str, dump: Path) -> None:
    from gitward.sessions.journal import Journal
    from gitward.sessions.model import Instruction, Owner, RunState, StepName
    from gitward.sessions.places import Places, RunLimits
    from gitward.sessions.progress import Outcome, Progress
    from gitward.sessions.service import NewSession, SessionService  # type: ignore[attr-defined]  # as it was then
    from gitward.store.database import Database
    from gitward.store.notify import Notifier
    from gitward.workers import worker as workers
    from gitward.workers.migrate import migrate_all
    from gitward.workers.queue import DbosQueue  # type: ignore[attr-defined,unused-ignore]  # of that revision

    known: Any = workers
    database: Any = Database(url)  # its transactions were asynchronous
    await migrate_all(database)
    journal, queue = Journal(Notifier()), DbosQueue(database)
    places: Any = Places(queue, RunLimits(total=4, per_user=3))
    sessions: Any = SessionService(places=places, journal=journal)
    alice, bob = Owner(issuer="gitward", subject="alice"), Owner(issuer="gitward", subject="bob")
    done = Outcome(state=RunState.SUCCEEDED, message="Done.", changed=True, head_sha="1" * 40)
    busy = asyncio.Semaphore(0)

    async def create(owner: Owner, name: str) -> Any:
        with database.transaction() as tx:
            return sessions.create_session(tx, owner, NewSession(repo=f"acme/{name}"))

    def job(shift: Any) -> Any:
        progress: Any = Progress(places=places, journal=journal, worker=shift.id)

        async def preflight(run_id: str) -> dict[str, str]:
            with database.transaction() as tx:
                claim = progress.claim(tx, run_id)
                progress.start_step(tx, claim, StepName.PREFLIGHT)
                progress.end_step(tx, claim, StepName.PREFLIGHT, RunState.SUCCEEDED, 0.5)
                progress.start_step(tx, claim, StepName.AUTHENTICATE)
            return {"result": "facts"}

        async def work() -> None:
            busy.release()
            await asyncio.Event().wait()

        async def run(run_id: str) -> None:
            await known.checkpoint("preflight", preflight, run_id)
            await known.checkpoint("work", work)

        return run

    ended = await create(alice, "ended")
    progress: Any = Progress(places=places, journal=journal, worker="worker-1")
    with database.transaction() as tx:
        claim = progress.claim(tx, ended.runs[0].id)
        progress.settle(tx, claim, done)
    running, cancelling = await create(alice, "running"), await create(bob, "cancelling")
    worker: Any = known.Worker(database, slots=RUNNING)
    await worker.start(job)
    for _ in range(RUNNING):
        await busy.acquire()
    for owner, name in ((alice, "admitted"), (bob, "admitted-too"), (bob, "waits"), (alice, "waits-too")):
        await create(owner, name)
    with database.transaction() as tx:
        sessions.cancel(tx, bob, cancelling.id)
        sessions.add_run(tx, alice, running.id, Instruction(command="true"))
    if database.is_sqlite:
        with sqlite3.connect(str(database.url.database)) as connection:
            dump.write_text("\n".join(connection.iterdump()) + "\n")
    else:
        argv = [os.environ["PG_DUMP"], "--inserts", "--no-owner", "--no-privileges", url]
        text = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
        # What psql alone understands, and what an older server may not know.
        dump.write_text("\n".join(line for line in text.splitlines() if not line.startswith(("\\", "SET ", "--"))))
    os._exit(0)  # as if it had been killed


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
