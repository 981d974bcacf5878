"""GitHub's rate limits, as its answers report them, for all runs of this worker.

Source: GitHub's documentation, "Rate limits for the REST API".
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from gitward.errors import Reason
from gitward.github.retries import PassingFault

SECONDARY_SECONDS = 60.0  # where a limit is told without its end, GitHub asks to wait a minute


@dataclass(frozen=True, kw_only=True)
class RateLimit:
    """What was left of one limit when GitHub last told."""

    holder: str  # whose limit: "token 1", "installation 42"; holds nothing of a token
    resource: str  # GitHub's name: "core"
    limit: int  # requests an hour
    remaining: int
    reset: int  # seconds since the epoch


class RateLimits:
    """The limits of every token that this worker uses. A token that is out of requests is not tried before its time."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], RateLimit] = {}
        self._blocked: dict[str, tuple[float, str]] = {}  # holder: until when (of time.monotonic()), and in words

    def note(self, holder: str, status: int, headers: Mapping[str, str], message: str) -> None:
        """Keeps what an answer tells."""
        limit, remaining, reset = (_number(headers.get(f"x-ratelimit-{name}", "")) for name in _HEADERS)
        resource = headers.get("x-ratelimit-resource", "core")[:40]
        if limit is not None and remaining is not None and reset is not None:
            self._told[holder, resource] = RateLimit(
                holder=holder, resource=resource, limit=limit, remaining=remaining, reset=reset
            )
        if is_limited(status, headers, message):
            self._blocked[holder] = (time.monotonic() + wait_seconds(headers), until(headers))

    def check(self, holder: str) -> None:
        """:raises PassingFault: this token must wait."""
        end, words = self._blocked.get(holder, (0.0, ""))
        left = end - time.monotonic()
        if left > 0:
            raise PassingFault(
                Reason.RATE_LIMITED,
                f"GitHub's rate limit is used up{words}; retry later.",
                cause="GitHub's rate limit is used up",
                wait_seconds=left,
                carried_out=False,
            )
        self._blocked.pop(holder, None)

    def snapshot(self) -> tuple[RateLimit, ...]:
        """Every limit whose hour is not over."""
        now = time.time()
        self._told = {key: limit for key, limit in self._told.items() if limit.reset > now}
        return tuple(self._told.values())


_HEADERS = ("limit", "remaining", "reset")


def is_limited(status: int, headers: Mapping[str, str], message: str) -> bool:
    """Whether an answer refuses because of a rate limit, and for nothing else."""
    return status == 429 or (
        status == 403
        and (headers.get("x-ratelimit-remaining") == "0" or "retry-after" in headers or "rate limit" in message.lower())
    )


def wait_seconds(headers: Mapping[str, str]) -> float:
    """How long GitHub asks to wait: `Retry-After` of the secondary limits, `X-RateLimit-Reset` of the primary one."""
    after, reset = _number(headers.get("retry-after", "")), _number(headers.get("x-ratelimit-reset", ""))
    if after is not None:
        return float(after)
    if headers.get("x-ratelimit-remaining") == "0" and reset is not None:
        return max(0.0, reset - server_time(headers))
    return SECONDARY_SECONDS


def until(headers: Mapping[str, str]) -> str:
    """The same in words, with a space before; empty when GitHub does not tell."""
    after, reset = _number(headers.get("retry-after", "")), _number(headers.get("x-ratelimit-reset", ""))
    if after is not None:
        return f" for another {after} s"
    if headers.get("x-ratelimit-remaining") == "0" and reset is not None:
        return f" until {datetime.fromtimestamp(reset, UTC):%Y-%m-%d %H:%M} UTC"
    return ""


def server_time(headers: Mapping[str, str]) -> float:
    """GitHub's own time when it answered, in seconds since the epoch; ours when it does not tell."""
    try:
        return parsedate_to_datetime(headers.get("date", "")).timestamp()
    except (TypeError, ValueError):
        return time.time()


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else None
