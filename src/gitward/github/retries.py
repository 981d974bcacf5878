"""Passing faults: how long Gitward retries, and what it reports meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from gitward.errors import Reason, RunFailure

log = logging.getLogger(__name__)

T = TypeVar("T")


class PassingFault(RunFailure):
    """A fault that may be over at the next try; the failure of the run when it is not."""

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        cause: str,
        wait_seconds: float | None = None,
        carried_out: bool = True,
        exit_code: int | None = None,
        head_sha: str | None = None,
    ) -> None:
        super().__init__(reason, message, exit_code=exit_code, head_sha=head_sha)
        self.cause = cause  # a few words: "GitHub answered 503"
        self.wait_seconds = wait_seconds  # what GitHub asks us to wait; None: our own schedule
        self.carried_out = carried_out  # whether what was asked may have been done all the same


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long faults are borne. Waits double from `first_seconds` to `longest_seconds`, half of each by chance."""

    first_seconds: float = 0.5
    longest_seconds: float = 15.0
    total_seconds: float = 120.0  # of one call, from its first try: GitHub may be away for a minute, and some more
    tries: int = 40

    def pause(self, number: int) -> float:
        """Seconds after the try of this number, counted from 1."""
        whole = min(self.longest_seconds, self.first_seconds * 2.0 ** min(number - 1, 30))
        return whole * random.uniform(0.5, 1.0)  # noqa: S311 -- spreads the tries of many runs; nothing secret


@dataclass(frozen=True, kw_only=True)
class Retry:
    """A call that failed is made again after a while."""

    cause: str
    seconds: float  # until then
    number: int  # of the try that failed


Tell = Callable[[Retry], Awaitable[None]]


async def _in_the_log(retry: Retry) -> None:
    log.warning("%s; trying again in %.1f s (try %d)", retry.cause, retry.seconds, retry.number)


class Retries:
    """Makes the calls of one step again while their faults may pass.

    :param limited_seconds: from now: how long GitHub may make us wait for its rate limits.
    :param tell: is told of every wait, but once when calls side by side wait for the same.
    """

    def __init__(
        self,
        patience: Patience | None = None,
        *,
        limited_seconds: float | None = None,
        tell: Tell = _in_the_log,
    ) -> None:
        self.patience = patience or Patience()
        bound = self.patience.total_seconds if limited_seconds is None else limited_seconds
        self._limited_until = time.monotonic() + bound
        self._tell = tell
        self._told: set[tuple[str, int]] = set()

    async def run(self, call: Callable[[], Awaitable[T]], *, repeatable: bool = True) -> T:
        """The call's result.

        :param repeatable: False: not made again when it may have been carried out.
        :raises RunFailure: the last try's, when patience ends.
        """
        began = time.monotonic()
        for number in itertools.count(1):
            try:
                return await call()
            except PassingFault as fault:
                if fault.carried_out and not repeatable:
                    raise
                seconds = self._seconds(fault, number, began)
                if seconds is None:
                    raise _given_up(fault, number, time.monotonic() - began) from None
                retry = Retry(cause=fault.cause, seconds=seconds, number=number)
            await self._tell_once(retry)
            await asyncio.sleep(retry.seconds)
        raise AssertionError("the tries do not end")

    def _seconds(self, fault: PassingFault, number: int, began: float) -> float | None:
        """How long to wait; None: no longer."""
        now = time.monotonic()
        pause = self.patience.pause(number)
        if fault.wait_seconds is not None:  # all runs wait for the same moment: they come back one by one
            seconds = fault.wait_seconds + pause
            return seconds if now + seconds <= self._limited_until else None
        over = now - began + pause > self.patience.total_seconds or number >= self.patience.tries
        return None if over else pause

    async def _tell_once(self, retry: Retry) -> None:
        if (retry.cause, retry.number) not in self._told:
            self._told.add((retry.cause, retry.number))
            await self._tell(retry)


def _given_up(fault: PassingFault, tries: int, seconds: float) -> RunFailure:
    tried = f" (tried {tries} times in {seconds:.0f} s)" if tries > 1 else ""
    message = f"{fault.message.removesuffix('.')}{tried}."
    return RunFailure(fault.reason, message, exit_code=fault.exit_code, head_sha=fault.head_sha)
