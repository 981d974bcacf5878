"""Nobody can tell a database that another test had from a new one."""

from __future__ import annotations

import psycopg
import pytest

from lent_databases import LentDatabases
from postgres import Postgres

DAYS = "INSERT INTO usage_days SELECT 'issuer', 'subject', n::text, 1, 1, 1 FROM generate_series(1, {}) n"
CHANGES = {
    "a table": "CREATE TABLE mine (a int)",
    "a column": "ALTER TABLE runs ADD COLUMN mine int",
    "an index": "CREATE INDEX mine ON usage_days (requests)",
    "a constraint": "ALTER TABLE usage_days ADD CONSTRAINT mine CHECK (requests < 7)",
    "a function": "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "a setting": "ALTER DATABASE {name} SET statement_timeout = 1000",
    "many rows": DAYS.format(1000),
}


@pytest.fixture
def databases(postgres: Postgres) -> LentDatabases:
    """With nothing that other tests gave back."""
    return LentDatabases(postgres)


def asked(databases: LentDatabases, name: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(databases.server.url(name), autocommit=True) as connection:
        return connection.execute(query.encode()).fetchall()


def test_it_is_lent_again_without_rows_and_without_whoever_was_connected(databases: LentDatabases) -> None:
    name = databases.lend()
    version = asked(databases, name, "SELECT version_num FROM alembic_version")
    with psycopg.connect(databases.server.url(name), autocommit=True) as left:
        left.execute("SELECT pg_advisory_lock(1)")
        left.execute(DAYS.format(3).encode())
        left.execute("UPDATE alembic_version SET version_num = 'none'")
        left.execute("SELECT nextval('tickets_number_seq')")
        databases.give_back(name)
        with pytest.raises(psycopg.OperationalError):
            left.execute("SELECT 1")
    assert databases.lend() == name
    assert asked(databases, name, "SELECT count(*) FROM usage_days") == [(0,)]
    assert asked(databases, name, "SELECT version_num FROM alembic_version") == version != []
    assert asked(databases, name, "SELECT nextval('tickets_number_seq')") == [(1,)]
    assert asked(databases, name, "SELECT pg_try_advisory_lock(1)") == [(True,)]
    databases.server.drop(name)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_one_that_was_changed_otherwise_is_not_lent_again(databases: LentDatabases, change: str) -> None:
    name = databases.lend()
    with psycopg.connect(databases.server.url(name), autocommit=True) as connection:
        connection.execute(change.format(name=name).encode())
    databases.give_back(name)
    assert (name,) not in asked(databases, "postgres", "SELECT datname FROM pg_database")
    other = databases.lend()
    assert other != name
    databases.server.drop(other)
