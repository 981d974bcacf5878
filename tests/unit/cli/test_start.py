"""The service is ready soon: it loads what it needs, and does at the same time what does not depend on each other."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from gitward.cli.concurrent_entry import enter_both
from gitward.cli.preloading import loaded

MIGRATED = """
import asyncio, sys
from gitward.store.database import Database
from gitward.workers.migrate import migrate_all

async def main():
    database = Database(sys.argv[1])
    await migrate_all(database)
    await database.stop()

asyncio.run(main())
"""


PRINT_MODULES = """
import sys
names = (name.split(".") for name in sys.modules)
print(*{".".join(name[:2] if name[0] == "gitward" else name[:1]) for name in names})
"""


def modules(program: str, *arguments: str) -> set[str]:
    """The top packages, and ours two levels deep, that a program has loaded at its end."""
    argv = [sys.executable, "-c", f"{program}\n{PRINT_MODULES}", *arguments]
    return set(subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split())


def test_the_children_start_before_the_database_and_the_api_are_loaded() -> None:
    early = modules("import gitward.cli.main, gitward.cli.serve, gitward.cli.worker")
    assert early & {"sqlalchemy", "fastapi", "gitward.api", "gitward.sessions", "gitward.runs"} == set()
    assert {"gitward.sandboxes", "gitward.broker"} <= early


def test_what_few_services_need_is_not_loaded_by_all() -> None:
    """A second web server is for the port of the metrics, the policy's parser for the broker, psycopg for Postgres."""
    few = {"aiohttp", "alembic", "graphql", "psycopg", "psycopg_binary", "rich"}
    assert modules("import gitward.cli.serve, gitward.cli.wiring") & few == set()


@pytest.mark.parametrize("is_new", [True, False])
def test_a_database_that_is_up_to_date_needs_no_migrations_loaded(is_new: bool, migrated: Path, tmp_path: Path) -> None:
    file = tmp_path / "gitward.db"
    if not is_new:
        file.write_bytes(migrated.read_bytes())
    assert ("alembic" in modules(MIGRATED, f"sqlite:///{file}")) == is_new


class Visit:
    """A context manager that waits for the other one in the middle of its start."""

    def __init__(self, log: list[str], name: str) -> None:
        self.log, self.name = log, name
        self.begun, self.may_go_on = asyncio.Event(), asyncio.Event()
        self.fails = False

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[str]:
        self.begun.set()
        try:
            await self.may_go_on.wait()
        except asyncio.CancelledError:
            self.log.append(f"{self.name} cancelled")
            raise
        if self.fails:
            raise ValueError(self.name)
        try:
            yield self.name
        finally:
            self.log.append(f"{self.name} left")


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def one(log: list[str]) -> Visit:
    return Visit(log, "one")


@pytest.fixture
def two(log: list[str]) -> Visit:
    return Visit(log, "two")


async def entered(one: Visit, two: Visit, log: list[str]) -> None:
    async with AsyncExitStack() as stack:
        assert await enter_both(stack, one(), two()) == ("one", "two")
        log.append("inside")


async def test_two_parts_start_at_the_same_time_and_stop_one_after_the_other(
    one: Visit, two: Visit, log: list[str]
) -> None:
    entering = asyncio.create_task(entered(one, two, log))
    async with asyncio.timeout(20):
        await one.begun.wait()
        await two.begun.wait()
        two.may_go_on.set()
        one.may_go_on.set()
        await entering
    assert log == ["inside", "two left", "one left"]


@pytest.mark.parametrize("other", ["started", "starting"])
async def test_when_one_part_fails_the_other_stops(one: Visit, two: Visit, log: list[str], other: str) -> None:
    one.fails = True
    one.may_go_on.set()
    if other == "started":
        two.may_go_on.set()
    with pytest.raises(ValueError, match="one"):
        await entered(one, two, log)
    assert log == (["two left"] if other == "started" else ["two cancelled"])


async def test_a_start_that_is_cancelled_leaves_neither(one: Visit, two: Visit, log: list[str]) -> None:
    entering = asyncio.create_task(entered(one, two, log))
    await one.begun.wait()
    two.may_go_on.set()
    await asyncio.sleep(0)
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    assert sorted(log) == ["one cancelled", "two left"]


async def test_a_part_is_loaded_while_the_loop_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a_part_of_the_program.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    async with loaded("a_part_of_the_program"):
        assert sys.modules.pop("a_part_of_the_program")
    with pytest.raises(ModuleNotFoundError):
        async with loaded("no_such_part"):
            pass


WATCH_COLLECTIONS = """
import atexit, gc, json, pathlib
whole = []  # what each search of the oldest generation had to look at
first = []  # the same, before the service was ready

def note(phase, info):
    if phase == "start" and info["generation"] == 2:
        (whole if gc.isenabled() else first).append(len(gc.get_objects()))

gc.callbacks.append(note)
atexit.register(lambda: pathlib.Path(__file__).with_name("noted").write_text(json.dumps(
    {"searched": max(whole, default=0), "first": len(first), "kept": gc.get_freeze_count(),
     "collects": gc.isenabled()})))
"""


def test_what_is_loaded_at_the_start_is_searched_for_garbage_once_before_anybody_waits(tmp_path: Path) -> None:
    """A search of it all takes 80 ms, in which nobody gets an answer."""
    (tmp_path / "sitecustomize.py").write_text(WATCH_COLLECTIONS)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(tmp_path),
        "GITHUB_TOKEN": "ghp_none",
        "GITWARD_DATA_DIR": str(tmp_path / "data"),
        "GITWARD_PORT": "0",
    }
    argv = [sys.executable, "-m", "gitward", "serve", "--no-worker"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env=environment) as service:
        assert service.stdout is not None
        assert service.stdout.readline().startswith(b"Gitward is ready")
        service.send_signal(signal.SIGTERM)
        assert service.wait(60) == 0
    noted = json.loads((tmp_path / "noted").read_text())
    assert noted["collects"]
    assert noted["first"] == 1
    assert noted["kept"] > 100_000
    assert noted["searched"] < 50_000
