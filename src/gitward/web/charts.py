"""Bars for the operator's page, as numbers for SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gitward.sessions.operator_figures import Day, StepTimes

HEIGHT, BAR, GAP = 96.0, 26.0, 8.0


@dataclass(frozen=True, kw_only=True)
class Bar:
    kind: str
    y: float
    height: float


@dataclass(frozen=True, kw_only=True)
class DayBars:
    day: Day
    x: float
    bars: Sequence[Bar]

    @property
    def label(self) -> str:
        day = self.day
        return f"{day.day:%d %b}: {day.succeeded} succeeded, {day.failed} failed, {day.cancelled} cancelled"


def days_of(days: Sequence[Day]) -> Sequence[DayBars]:
    """Stacked, to one scale."""
    most = max([each.succeeded + each.failed + each.cancelled for each in days] + [1])
    made = []
    for place, each in enumerate(days):
        y, bars = HEIGHT, []
        for kind in ("succeeded", "failed", "cancelled"):
            height = round(HEIGHT * getattr(each, kind) / most, 2)
            y -= height
            bars.append(Bar(kind=kind, y=round(y, 2), height=height))
        made.append(DayBars(day=each, x=place * (BAR + GAP), bars=bars))
    return made


@dataclass(frozen=True, kw_only=True)
class StepBar:
    times: StepTimes
    median: float  # of 1000
    slow: float


def steps_of(steps: Sequence[StepTimes]) -> Sequence[StepBar]:
    most = max([each.slow for each in steps] + [0.001])
    return [
        StepBar(times=each, median=round(1000 * each.median / most, 1), slow=round(1000 * each.slow / most, 1))
        for each in steps
    ]
