"""Databases of one Postgres that a test gets empty, with every table, and gives back: to make one takes far longer.

Nobody can tell one that was lent before from a new one: whoever was connected is not any more, each table has the rows
that it was made with, sequences begin again, and columns, indexes, constraints and settings are those that were made.
Any other is dropped.
"""

from __future__ import annotations

import psycopg

from postgres import Postgres

_MOST_ROWS = 500  # with more, dead rows and statistics would slow the next test down
_WAIT_MS = 10_000
_OTHERS = f"""
SELECT pg_terminate_backend(pid, {_WAIT_MS}) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
_TABLES = """
SELECT quote_ident(relname) FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY oid
"""
_SEQUENCES = "SELECT quote_ident(relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'S'"
# What a test can change of the database itself.
_LIKENESS = """
SELECT md5(concat_ws(' ',
  (SELECT string_agg(concat_ws(' ', c.relname, c.relkind, c.relpersistence, c.reloptions, a.attname, a.atttypid,
                     a.attnotnull, a.atthasdef, a.attisdropped), ',' ORDER BY c.relname, a.attnum)
     FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
    WHERE c.relnamespace = 'public'::regnamespace),
  (SELECT string_agg(pg_get_constraintdef(oid), ',' ORDER BY conname) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace),
  (SELECT string_agg(tgname, ',' ORDER BY tgname) FROM pg_trigger WHERE NOT tgisinternal),
  (SELECT string_agg(proname, ',' ORDER BY proname) FROM pg_proc WHERE pronamespace = 'public'::regnamespace),
  (SELECT string_agg(nspname, ',' ORDER BY nspname) FROM pg_namespace WHERE nspname !~ '^pg_'),
  (SELECT string_agg(setconfig::text, ',') FROM pg_db_role_setting
    WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())),
  (SELECT concat_ws(' ', datallowconn, datconnlimit) FROM pg_database WHERE datname = current_database())))
"""


class LentDatabases:
    """Of one process of pytest."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self._idle: list[str] = []
        self._rows: dict[str, list[tuple[object, ...]]] = {}  # of each table that is made with some
        self._likeness: object = None

    def lend(self) -> str:
        """The name of a database."""
        if self._idle:
            return self._idle.pop()
        name = self.server.make()
        if self._likeness is None:
            with psycopg.connect(self.server.url(name), autocommit=True) as connection:
                self._note(connection)
        return name

    def give_back(self, name: str) -> None:
        with psycopg.connect(self.server.url(name), autocommit=True) as connection:
            connection.execute(_OTHERS)
            is_new = _likeness(connection) == self._likeness and self._emptied(connection)
        if is_new:
            self._idle.append(name)
        else:
            self.server.drop(name)

    def _note(self, connection: psycopg.Connection) -> None:
        self._likeness = _likeness(connection)
        for table in _names(connection, _TABLES):
            rows = connection.execute(f"SELECT * FROM {table}".encode()).fetchall()
            if rows:
                self._rows[table] = rows

    def _emptied(self, connection: psycopg.Connection) -> bool:
        """Removes all rows and adds those that belong there; whether that was quick enough to be worth it."""
        removed = 0
        with connection.transaction():
            connection.execute("SET LOCAL session_replication_role = replica")  # no order among the tables
            for table in _names(connection, _TABLES):
                removed += connection.execute(f"DELETE FROM {table}".encode()).rowcount
                if removed > _MOST_ROWS:
                    return False
                for row in self._rows.get(table, ()):
                    marks = ", ".join(["%s"] * len(row))
                    connection.execute(f"INSERT INTO {table} VALUES ({marks})".encode(), row)
            for sequence in _names(connection, _SEQUENCES):
                connection.execute(f"ALTER SEQUENCE {sequence} RESTART".encode())
        return True


def _likeness(connection: psycopg.Connection) -> object:
    row = connection.execute(_LIKENESS).fetchone()
    assert row is not None
    return row[0]


def _names(connection: psycopg.Connection, query: str) -> list[str]:
    return [name for (name,) in connection.execute(query.encode())]
