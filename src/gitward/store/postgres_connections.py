"""Every open Postgres connection of this process's pools, so that all can be cut at once."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import weakref
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.pool import Pool

if TYPE_CHECKING:
    import psycopg

_open: weakref.WeakSet[psycopg.BaseConnection[Any]] = weakref.WeakSet()


def watch() -> None:
    """From now on connections are noted. Safe to call again."""
    if not event.contains(Pool, "connect", _note):
        event.listen(Pool, "connect", _note)


def _note(_connection: Any, record: Any) -> None:
    connection = record.driver_connection
    if not isinstance(connection, sqlite3.Connection):
        _open.add(connection)


def sever() -> None:
    """Breaks them: whoever waits for an answer of the server gets an error. The pools open new ones."""
    import psycopg

    for connection in tuple(_open):
        with contextlib.suppress(psycopg.Error):
            cut(connection.fileno())


def cut(descriptor: int) -> None:
    """Ends a connection without closing its descriptor: whoever waits on it sees the end."""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as connection:
        connection.shutdown(socket.SHUT_RDWR)
