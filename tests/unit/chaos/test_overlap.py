"""The time in which there was no database, of the time that a run waited."""

from __future__ import annotations

import pytest
from tests.chaos.faults import overlap

AWAY = [(10.0, 17.0), (30.0, 31.0)]


@pytest.mark.parametrize(
    ("begin", "end", "seconds"),
    [(0, 5, 0), (5, 10, 0), (9, 18, 7), (12, 15, 3), (16, 30.5, 1.5), (5, 40, 8), (17, 30, 0), (31, 32, 0)],
)
def test_what_lies_within_both_counts(begin: float, end: float, seconds: float) -> None:
    assert overlap(AWAY, begin, end) == seconds
