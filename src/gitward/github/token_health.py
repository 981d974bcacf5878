"""What GitHub's answers told of the tokens that this process used: when they end, their scopes, the last refusal.

Source: GitHub's documentation, "Managing your personal access tokens" and "Scopes for OAuth apps".
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from gitward.github.failures import expiration

MOST_TOKENS = 20  # the one that was seen longest ago goes first
_WORDS = 200  # characters of GitHub's own words


@dataclass(frozen=True, kw_only=True)
class Refusal:
    at: datetime
    status: int  # 401 or 403
    words: str  # GitHub's


@dataclass(frozen=True, kw_only=True)
class TokenReport:
    """One token, as GitHub last told of it. Nothing of the token itself."""

    holder: str  # "token 1", "installation 42"
    kind: str  # in words: "a classic token"
    seen_at: datetime
    ends_at: datetime | None  # None: GitHub names no end, or has told nothing yet
    is_end_told: bool  # whether GitHub has said when it ends, or that it does not
    scopes: tuple[str, ...] | None  # None: GitHub tells none, which only classic tokens have
    refusal: Refusal | None

    @property
    def is_over(self) -> bool:
        return self.ends_at is not None and self.ends_at <= datetime.now(UTC)

    @property
    def ends_soon(self) -> bool:
        """Within a week; of tokens that get a successor by themselves it means nothing."""
        return self.ends_at is not None and self.ends_at - datetime.now(UTC) < timedelta(days=7)


class TokenHealth:
    def __init__(self) -> None:
        self._told: dict[str, TokenReport] = {}

    def note(
        self, holder: str, kind: str, status: int, headers: Mapping[str, str], message: str, *, ends_at: float | None
    ) -> None:
        """Keeps what an answer of the API tells, or a refusal of git's door.

        Only a 2xx says by its silence that the token has no end: an answer of what stands before GitHub knows none.

        :param ends_at: of time.monotonic(), where that is known without GitHub's headers.
        """
        is_well, is_refusal = 200 <= status < 300, status in {401, 403}
        now, before = datetime.now(UTC), self._told.pop(holder, None)
        told = expiration(headers)
        if told is None and ends_at is not None:
            told = now + timedelta(seconds=ends_at - time.monotonic())
        scopes = headers.get("x-oauth-scopes")
        report = TokenReport(
            holder=holder,
            kind=kind,
            seen_at=now,
            ends_at=told if told is not None else before.ends_at if before and not is_well else None,
            is_end_told=is_well or told is not None or (before is not None and before.is_end_told),
            scopes=_names(scopes) if scopes is not None else before.scopes if before else None,
            refusal=before.refusal if before else None,
        )
        if is_refusal:
            report = replace(report, refusal=Refusal(at=now, status=status, words=message[:_WORDS]))
        self._told[holder] = report
        for oldest in list(self._told)[:-MOST_TOKENS]:
            del self._told[oldest]

    def snapshot(self) -> tuple[TokenReport, ...]:
        """The one that was used last first."""
        return tuple(reversed(self._told.values()))


def _names(scopes: str) -> tuple[str, ...]:
    return tuple(name for part in scopes[:1000].split(",") if (name := part.strip()))
