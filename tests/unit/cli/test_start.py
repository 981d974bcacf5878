"""The service is ready soon: it loads what it needs, and does at the same time what does not depend on each other."""

from __future__ import annotations

import asyncio
import gc
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
    """A second web server is for the port of the metrics, the policy's parser for the broker."""
    assert modules("import gitward.cli.serve, gitward.cli.wiring") & {"aiohttp", "alembic", "graphql"} == set()


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
    (tmp_path / "a_part_of_the_program.py").write_text("import gc\ncollects = gc.isenabled()\n")
    monkeypatch.syspath_prepend(tmp_path)
    async with loaded("a_part_of_the_program"):
        assert not sys.modules.pop("a_part_of_the_program").collects
    assert gc.isenabled()
    with pytest.raises(ModuleNotFoundError):
        async with loaded("no_such_part"):
            pass
    assert gc.isenabled()
