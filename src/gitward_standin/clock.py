"""The stand-in's time, in whole seconds as GitHub tells it."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def timestamp(moment: datetime | None) -> str | None:
    """The form of every date in GitHub's answers."""
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")
