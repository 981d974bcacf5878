"""Keeps what a run's model calls use: in its row at once, as an event now and then, in the metrics."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Self

from gitward.broker import OpenGrant
from gitward.errors import GitwardError
from gitward.grants.channel import ChannelClosed
from gitward.grants.meter import Meter
from gitward.grants.model_budget import Account, ModelBudget, ModelLimits, Spent
from gitward.grants.model_calls import ModelCall, Outcome
from gitward.grants.usage import Usage
from gitward.runs.attempt import Attempt
from gitward.sessions import usage_days
from gitward.sessions.model import now
from gitward.sessions.usage_days import DayUsage

log = logging.getLogger(__name__)

EVENT_SECONDS = 5.0  # between two events
EVENT_SHARE = 1 / 20  # of the time since the attempt began, when that is more: a run of a week tells some 200
PAUSE_SECONDS = 0.1  # between two writes of a run: what passed since the last one is lost with the worker


class UsageLog:
    """Of one attempt. The broker tells; a task writes, so that no answer waits for the database."""

    def __init__(self, attempt: Attempt, today: DayUsage) -> None:
        """:param today: what all runs of the owner used by now, this one included."""
        self._attempt = attempt
        self._before = attempt.run.usage
        services = attempt.services
        self.meter = Meter(self._before or Usage(), prices=services.settings.prices)
        self._elsewhere = today - usage_days.part_of(self._before)
        self._dirty = asyncio.Event()
        self._told: Usage | None = None  # by the last event
        self._held_back = False  # whether something was written since that no event tells
        self._began = time.monotonic()
        self._told_at = self._began - EVENT_SECONDS
        self._opened: OpenGrant | None = None
        # Of the owner's day, all of whose runs may ask at the same time, one request ahead is reserved for this run.
        self._day_limit = services.settings.daily_budget.requests
        self._granted = 0  # of this run's requests, how many may have begun
        self._is_exhausted = False  # no more can be reserved

    @classmethod
    async def begin(cls, attempt: Attempt) -> Self:
        """What a command asks of models is known when it asks; most ask none."""
        owner, today = attempt.session.owner, DayUsage()
        if attempt.run.instruction.prompt is not None:
            today = await attempt.write(lambda tx: usage_days.read(tx, owner, now()))
        log = cls(attempt, today)
        if log._day_limit is not None:
            await log._write(told=False)
        return log

    def saw(self, call: ModelCall) -> None:
        """A call began, goes on or ended."""
        if self.meter.saw(call):
            self._dirty.set()
        if call.outcome is not None:
            self._measure(call, call.outcome)

    def _measure(self, call: ModelCall, outcome: Outcome) -> None:
        metrics, agent = self._attempt.services.metrics, self._attempt.run.agent
        if metrics is None or agent is None:
            return
        metrics.model_called(
            agent=agent.name,
            entry=self._attempt.services.settings.prices.entry(call.model),
            outcome=outcome.value,
            tokens={} if call.tokens is None else call.tokens.by_kind,
            is_counted=call.is_counted,
        )

    def budget(self) -> ModelBudget:
        """All limits, and what is used of them by now: for a broker that begins."""
        settings = self._attempt.services.settings
        return ModelBudget(
            accounts=self._accounts(), own=Spent.of(self.meter.usage, settings.prices), prices=settings.prices
        )

    def _accounts(self) -> tuple[Account, ...]:
        asked, daily = self._attempt.run.instruction.budget, self._attempt.services.settings.daily_budget
        own = (
            ModelLimits() if asked is None else ModelLimits(requests=asked.requests, tokens=asked.tokens, usd=asked.usd)
        )
        more = self._elsewhere
        elsewhere = Spent(requests=more.requests, tokens=more.tokens, usd=more.usd)
        accounts = (
            Account(whose="This run's budget", limits=own),
            Account(
                whose="Your budget for one day on this server",
                limits=daily,
                elsewhere=elsewhere,
                granted=None if self._day_limit is None else self._granted,
                is_exhausted=self._is_exhausted,
            ),
        )
        return tuple(each for each in accounts if each.limits)

    @contextlib.asynccontextmanager
    async def running(self, opened: OpenGrant) -> AsyncIterator[None]:
        """Inside this block what is counted is written."""
        self._opened = opened
        task = asyncio.create_task(self._write_on(), name="usage")
        try:
            yield
        finally:
            task.cancel()
            for problem in await asyncio.gather(task, return_exceptions=True):
                if isinstance(problem, Exception):
                    log.warning("Run %s: its usage is not written any more: %s", self._attempt.run.id, problem)

    async def close(self) -> None:
        """The broker is gone: writes what there is, and tells it. What is still reserved is free again."""
        self.meter.close()
        usage = self.meter.usage
        news = bool(usage.by_model) and usage != self._told
        if not news and self._day_limit is None:
            return
        self._day_limit = None
        try:
            await self._write(told=news)
        except GitwardError as error:  # another attempt goes on from what was written before
            log.warning("Run %s: its usage could not be written: %s", self._attempt.run.id, error)

    async def _write_on(self) -> None:
        while True:
            await self._wait()
            await self._write(told=time.monotonic() >= self._due)
            await asyncio.sleep(PAUSE_SECONDS)

    @property
    def _due(self) -> float:
        """When the next event may be written."""
        return self._told_at + max(EVENT_SECONDS, EVENT_SHARE * (self._told_at - self._began))

    async def _wait(self) -> None:
        """For something new; or, while an event is held back, until it is due."""
        seconds = max(0.0, self._due - time.monotonic()) if self._held_back else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._dirty.wait()

    async def _write(self, *, told: bool) -> None:
        self._dirty.clear()
        usage = self.meter.usage
        progress, hold = self._attempt.services.progress, self._attempt.hold
        counted = await self._attempt.write(
            partial(progress.record_usage, hold=hold, usage=usage, told=told, day_limit=self._day_limit)
        )
        self._held_back = not told
        if told:
            self._told, self._told_at = usage, time.monotonic()
        granted, is_exhausted = usage.requests + counted.reserved, not counted.reserved
        elsewhere = counted.today - usage_days.part_of(replace(usage, reserved=counted.reserved))
        is_new = (granted, is_exhausted) != (self._granted, self._is_exhausted) and self._day_limit is not None
        self._granted, self._is_exhausted = granted, is_exhausted
        await self._share(elsewhere, is_new=is_new)

    async def _share(self, elsewhere: DayUsage, *, is_new: bool) -> None:
        """What other runs of the owner used limits this one as well. `is_new`: there is more to tell the broker."""
        if (elsewhere == self._elsewhere and not is_new) or self._opened is None:
            self._elsewhere = elsewhere
            return
        self._elsewhere = elsewhere
        if self._attempt.services.settings.daily_budget:
            with contextlib.suppress(ChannelClosed, GitwardError):  # a replacement is told when it begins
                await self._opened.tell_budget()
