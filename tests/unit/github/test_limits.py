"""What GitHub tells of its rate limits is kept for all who use the token."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from gitward.github.limits import SECONDARY_SECONDS, RateLimit, RateLimits, server_time, wait_seconds
from gitward.github.retries import PassingFault

HOLDER = "token 1"


def told(remaining: int, *, reset: int, resource: str = "core") -> dict[str, str]:
    return {
        "x-ratelimit-limit": "5000",
        "x-ratelimit-remaining": str(remaining),
        "x-ratelimit-reset": str(reset),
        "x-ratelimit-resource": resource,
    }


def left(limits: RateLimits, holder: str = HOLDER) -> float:
    """How long this token must wait."""
    try:
        limits.check(holder)
    except PassingFault as fault:
        return fault.wait_seconds or 0.0
    return 0.0


def test_what_is_left_can_be_read_by_whoever_measures() -> None:
    limits, reset = RateLimits(), int(time.time()) + 100
    limits.note(HOLDER, 200, told(4999, reset=reset), "")
    limits.note(HOLDER, 200, told(4998, reset=reset), "")
    limits.note("installation 7", 200, told(29, reset=reset, resource="search"), "")
    assert limits.snapshot() == (
        RateLimit(holder=HOLDER, resource="core", limit=5000, remaining=4998, reset=reset),
        RateLimit(holder="installation 7", resource="search", limit=5000, remaining=29, reset=reset),
    )


def test_an_hour_that_is_over_is_not_told() -> None:
    limits = RateLimits()
    limits.note(HOLDER, 200, told(1, reset=int(time.time()) - 1), "")
    assert limits.snapshot() == ()


@pytest.mark.parametrize("headers", [{}, {"x-ratelimit-limit": "many"}, {"x-ratelimit-limit": "1"}])
def test_an_answer_that_tells_nothing_is_no_error(headers: dict[str, str]) -> None:
    limits = RateLimits()
    limits.note(HOLDER, 200, headers, "")
    assert (limits.snapshot(), left(limits)) == ((), 0.0)


def test_a_limited_token_waits_and_others_do_not() -> None:
    limits = RateLimits()
    limits.note(HOLDER, 403, told(0, reset=int(time.time()) + 100), "API rate limit exceeded")
    assert 90 < left(limits) <= 100
    assert left(limits, "token 2") == 0


def test_the_wait_ends() -> None:
    limits = RateLimits()
    limits.note(HOLDER, 429, {"retry-after": "0"}, "")
    assert left(limits) == 0


def test_a_refusal_for_another_reason_blocks_nobody() -> None:
    limits = RateLimits()
    limits.note(HOLDER, 403, told(10, reset=int(time.time()) + 100), "Resource not accessible by integration")
    assert left(limits) == 0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "7", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "99"}, 7.0),
        ({}, SECONDARY_SECONDS),
        ({"retry-after": "soon"}, SECONDARY_SECONDS),
    ],
)
def test_how_long_github_asks_to_wait(headers: dict[str, str], seconds: float) -> None:
    assert wait_seconds(headers) == seconds


def test_the_end_of_the_hour_is_told_by_github_s_own_clock() -> None:
    """Ours may be wrong by hours."""
    theirs = time.time() - 7200
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(theirs) + 60), "date": formatdate(theirs)}
    assert 59 <= wait_seconds(headers) <= 61


@pytest.mark.parametrize("date", ["", "yesterday", "Wed, 99 Foo 2026"])
def test_without_a_date_ours_counts(date: str) -> None:
    assert abs(server_time({"date": date}) - time.time()) < 10
