"""What a worker knows of its place among the others without a connection to Postgres: a worker on SQLite has none."""

from __future__ import annotations

BEAT_SECONDS = 0.5  # between two signs of life


class NoAnswer(Exception):
    """The database did not answer. The text is the driver's name of the error: its own text may hold addresses."""
