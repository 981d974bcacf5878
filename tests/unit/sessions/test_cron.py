"""When schedules come, also where the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest

from gitward.sessions.cron import CronTimes, time_zones


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_the_expression_is_meant_in_its_time_zone() -> None:
    table = CronTimes(schedule="30 6 * * MON", timezone="Europe/Berlin")
    assert table.after(at("2026-01-01T00:00")) == at("2026-01-05T05:30")
    assert table.after(at("2026-07-01T00:00")) == at("2026-07-06T04:30")


def test_a_time_that_the_clocks_skip_or_show_twice_comes_once() -> None:
    """02:30 in Berlin, on the nights of 29 March and 25 October 2026."""
    table = CronTimes(schedule="30 2 * * *", timezone="Europe/Berlin")
    assert table.after(at("2026-03-28T12:00")) == at("2026-03-29T01:00")  # 03:00 summer time
    assert table.after(at("2026-03-29T01:00")) == at("2026-03-30T00:30")
    first = table.after(at("2026-10-24T12:00"))
    assert first == at("2026-10-25T00:30")
    assert table.after(first) == at("2026-10-26T01:30")


def test_an_hour_is_an_hour_also_when_the_clocks_change() -> None:
    table = CronTimes(schedule="0 * * * *", timezone="Europe/Berlin")
    times = [at("2026-10-24T22:00")]
    for _ in range(4):
        times.append(table.after(times[-1]))
    assert {(later - earlier).total_seconds() for earlier, later in pairwise(times)} == {3600}


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Australia/Lord_Howe"])
def test_the_last_time_is_before_now_and_the_next_one_after(zone: str) -> None:
    table = CronTimes(schedule="*/20 3 * * *", timezone=zone)
    moment = at("2026-04-04T15:17")
    latest = table.latest(moment)
    assert latest <= moment < table.after(moment)
    assert table.after(latest) == table.after(moment)
    assert table.latest(latest) == latest, "a time has come at its very second"


@pytest.mark.parametrize(
    ("schedule", "timezone", "sentence"),
    [
        ("* * * *", "UTC", "must have five fields"),
        ("* * * * * *", "UTC", "must have five fields"),
        ("@daily", "UTC", "must have five fields"),
        ("61 * * * *", "UTC", "must be a cron expression, such as 0 6 * * MON: bad minute"),
        ("0 0 30 2 *", "UTC", "must be a cron expression"),
        ("0 0 * 4 MON#6", "UTC", "must be a cron expression"),
        ("0 0 * * *", "localtime", "must be a time zone such as UTC or Europe/Berlin"),
        ("0 0 * * *", "../../etc/passwd", "must be a time zone"),
        ("0 0 * * *", "", "must be a time zone"),
    ],
)
def test_what_is_no_timetable_is_told_what_is(schedule: str, timezone: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{sentence.replace('*', '[*]')}"):
        CronTimes(schedule=schedule, timezone=timezone)


def test_every_time_zone_of_the_list_can_be_used() -> None:
    assert len(time_zones()) > 400
    for zone in time_zones():
        CronTimes(schedule="0 0 * * *", timezone=zone)
