"""Fixtures that many tests share."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

import held_loops
from gitward.sessions.journal import Journal
from gitward.sessions.model import Owner
from gitward.sessions.places import Places, RunLimits
from gitward.sessions.queue import RunQueue
from gitward.sessions.service import SessionService
from gitward.store.database import Database
from gitward.store.notify import Notifier
from gitward.telemetry.metrics import Metrics
from gitward.workers.migrate import migrate_all
from lent_databases import LentDatabases
from postgres import Postgres, running_postgres
from tests_support import Backend

pytest_plugins = ["leftovers", "warm_services"]

# The same examples on every machine, and none judged by its time: machines are shared.
hypothesis.settings.register_profile("gitward", deadline=None, derandomize=True)
hypothesis.settings.load_profile("gitward")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--environment", default="", help="The conformance suite's commands see this one of scripts/environments."
    )


@pytest.fixture(scope="session", autouse=True)
def _loops_are_watched() -> Iterator[None]:
    with held_loops.recording():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """A test in which an event loop was held fails, whatever else it proved."""
    with held_loops.recorder.judging(item):
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`scripts/test --fast` starts no Postgres."""
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        if "postgres" in {parameters.get("database_kind"), *getattr(item, "fixturenames", ())}:
            item.add_marker("postgres")


@pytest.fixture
def database_kind() -> str:
    """Folders whose tests shall pass on Postgres too override this by one with parameters."""
    return "sqlite"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def lent_databases(postgres: Postgres) -> LentDatabases:
    return LentDatabases(postgres)


@pytest.fixture
def database_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of the test's own."""
    if database_kind == "sqlite":
        yield f"sqlite:///{tmp_path / 'gitward.db'}"
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    name = postgres.make(template="template0")
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with every table; made once, because that takes longer than a test."""
    path = tmp_path_factory.mktemp("migrated") / "gitward.db"

    async def make() -> None:
        database = Database(f"sqlite:///{path}")
        await migrate_all(database)
        await database.stop()

    asyncio.run(make())
    return path


@pytest.fixture
def migrated_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path, migrated: Path) -> Iterator[str]:
    """A database of the test's own, with every table."""
    if database_kind == "sqlite":
        shutil.copyfile(migrated, tmp_path / "gitward.db")
        yield f"sqlite:///{tmp_path / 'gitward.db'}"
        return
    databases: LentDatabases = request.getfixturevalue("lent_databases")
    name = databases.lend()
    yield databases.server.url(name)
    databases.give_back(name)


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    """The same, opened."""
    database = Database(migrated_url)
    yield database
    await database.stop()


@pytest.fixture
async def backend(database: Database) -> Backend:
    notifier = Notifier()
    metrics = Metrics()
    journal = Journal(notifier, metrics.count_events)
    places = Places(notifier, RunLimits(total=100, per_user=50))
    return Backend(
        database=database,
        notifier=notifier,
        journal=journal,
        queue=RunQueue(places=places, journal=journal),
        places=places,
        sessions=SessionService(places=places, journal=journal),
        metrics=metrics,
    )


@pytest.fixture
def alice() -> Owner:
    return Owner(issuer="gitward", subject="alice")


@pytest.fixture
def bob() -> Owner:
    return Owner(issuer="gitward", subject="bob")
