"""A worker with a job of two steps. Arguments: database URL, file for notes, and `hang` or `finish`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))

from gitward.store.database import Database
from gitward.workers.worker import checkpoint
from queued import worker_of


async def main(url: str, notes: Path, mode: str) -> None:
    ended = asyncio.Event()

    def note(text: str) -> None:
        with notes.open("a") as file:
            file.write(f"{text}\n")

    async def first(run_id: str) -> dict[str, str]:
        note("first")
        return {"run": run_id}

    async def second(value: dict[str, str]) -> str:
        note("second")
        if mode == "hang":
            print("in the second step", flush=True)
            await asyncio.Event().wait()
        return value["run"]

    async def job(run_id: str) -> None:
        note(f"end {await checkpoint('second', second, await checkpoint('first', first, run_id))}")
        ended.set()

    database = Database(url)
    worker = worker_of(database)
    await worker.start(lambda _shift: job)
    await ended.wait()
    await worker.stop()
    await database.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
