"""The times of a cron expression in a time zone. Days with a clock change follow Debian's cron."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

FIELDS = 5


@dataclass(frozen=True, kw_only=True)
class CronTimes:
    """:raises ValueError: made of what is no cron expression, never comes, or is no time zone; says what is allowed."""

    schedule: str
    timezone: str

    def __post_init__(self) -> None:
        if self.timezone not in time_zones():
            raise ValueError("must be a time zone such as UTC or Europe/Berlin")
        if len(self.schedule.split()) != FIELDS:
            raise ValueError("must have five fields: minute, hour, day of month, month, day of week")
        try:
            self.after(datetime.now(UTC))
        except CronSimError as error:
            raise ValueError(f"must be a cron expression, such as 0 6 * * MON: {str(error).lower()}") from None

    def after(self, moment: datetime) -> datetime:
        """The first time that comes after `moment`."""
        try:
            return next(CronSim(self.schedule, self._local(moment))).astimezone(UTC)
        except StopIteration:
            raise ValueError("must come at least once in 50 years") from None

    def latest(self, moment: datetime) -> datetime:
        """The last time that has come at `moment`."""
        return next(CronSim(self.schedule, self._local(moment + timedelta(seconds=1)), reverse=True)).astimezone(UTC)

    def _local(self, moment: datetime) -> datetime:
        return moment.replace(microsecond=0).astimezone(UTC if self.timezone == "UTC" else ZoneInfo(self.timezone))


@lru_cache(maxsize=1)
def time_zones() -> frozenset[str]:
    """The same on every machine, whatever its own list."""
    return frozenset(files("tzdata").joinpath("zones").read_text().split())
