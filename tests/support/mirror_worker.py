"""Mirrors in a process of their own, which can be killed, and may see other disks than the test.

Arguments: data folder, the stand-in's two addresses, a repository's full name and id, the limit in bytes.
Each line of standard input is the name of a new folder; the answer is a line of JSON, and tells how it was filled.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from gitward.broker import Brokers
from gitward.errors import GitwardError
from gitward.repositories.mirrors import FetchFailed, Mirrors
from gitward.sandboxes import Limits
from gitward.sandboxes.engine import BubblewrapEngine
from gitward.telemetry.metrics import Metrics
from mirror_world import TOKEN, broker_config, source_of


async def main() -> None:
    data, url, api_url, full_name, number, limit = sys.argv[1:]
    os.umask(0o077)
    engine = BubblewrapEngine(slots=4)
    await engine.start()
    broker = Brokers(broker_config(url, api_url))
    await broker.start()
    mirrors = Mirrors(Path(data), engine, limits=Limits(), limit_bytes=int(limit), metrics=Metrics())
    await mirrors.start()
    source = source_of(broker, TOKEN, full_name, int(number))
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        told: list[str] = []
        answer: dict[str, object] = {"told": told}

        async def tell(sentence: str, told: list[str] = told) -> None:
            told.append(sentence)

        into = Path(data) / line.strip()
        into.mkdir()
        try:
            refs = await mirrors.take(source, into, tell)
            answer["refs"] = dict(refs)
        except FetchFailed as error:
            answer["failed"] = {"tail": error.tail, "limit": error.limit}
        except GitwardError as error:
            answer["error"] = str(error)
        print(json.dumps(answer), flush=True)
    await mirrors.stop()
    await broker.stop()
    await engine.stop()


if __name__ == "__main__":
    asyncio.run(main())
