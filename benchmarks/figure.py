"""One line of the table, and the numbers that such lines are made of."""

from __future__ import annotations

import os
import statistics
from dataclasses import dataclass
from pathlib import Path

median = statistics.median


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A name, a value (a ratio where there is something to compare with), and what it was made of."""

    name: str
    value: str
    meaning: str


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def machine() -> str:
    """What the figures were taken on, and how busy it is with other things."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown processor")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{os.cpu_count()} cores ({model}), Linux {os.uname().release.split('-')[0]}; load {load}"
