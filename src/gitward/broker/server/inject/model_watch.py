"""One call of a model, watched while it passes and told to the worker."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace

from gitward.broker.policy.model_refusals import FORBIDDEN, TOO_MANY, ModelRefused
from gitward.broker.policy.models import AnswerReader, RequestReader, Verdict
from gitward.broker.server.inject.breaker import Breaker
from gitward.broker.server.reporter import Reporter
from gitward.grants.channel import ChannelClosed
from gitward.grants.model_budget import ModelBudget
from gitward.grants.model_calls import Api, ModelCall, Outcome

SIGN_SECONDS = 5.0  # between two signs of life of one answer
_PER_SECOND = 50.0  # calls of one run that are let through; more wait: each is told to the worker
_HELD_SECONDS = 600.0  # that a request waits for others, near a limit of the budget; then it is refused


class Pace:
    """Lets the calls of a run through one after the other, when there are too many."""

    def __init__(self, per_second: float = _PER_SECOND) -> None:
        self._gap = 1 / per_second
        self._next = 0.0

    async def turn(self) -> None:
        now = time.monotonic()
        self._next = max(self._next, now - 1) + self._gap  # a second's worth may come at once
        if self._next > now:
            await asyncio.sleep(self._next - now)


@dataclass(kw_only=True)
class ModelWatch:
    """From the request to the end of its answer. What cannot be told to the worker is lost with it."""

    reporter: Reporter
    call: ModelCall
    on_end: Callable[[ModelCall], int]  # after how many failures the host is given up with it, else 0
    _reader: AnswerReader | None = None
    _request: RequestReader = field(default_factory=RequestReader)
    _told: float = field(default_factory=time.monotonic)

    async def begin(self) -> None:
        await self._tell(self.call)

    async def request(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The request's body, unchanged."""
        async for piece in body:
            self._request.feed(piece)
            yield piece
        self._request.end()

    def answers(self, status: int, content_type: str) -> None:
        self.call = replace(self.call, status=status)
        self._reader = AnswerReader(self.call.api, status=status, content_type=content_type)

    async def passed(self, piece: bytes) -> None:
        """Bytes of the answer went to the agent."""
        assert self._reader is not None
        self._reader.feed(piece)
        if time.monotonic() - self._told > SIGN_SECONDS:
            await self._tell(self.call)

    async def end(self, *, ended: bool) -> None:
        """The answer is over. `ended`: it came to its end."""
        assert self._reader is not None
        await self._over(self._reader.verdict(ended=ended))

    async def hung_up(self) -> None:
        """Nothing more is passed on. What was whole by then was an answer."""
        verdict = Verdict(outcome=Outcome.CUT) if self._reader is None else self._reader.verdict(ended=False)
        is_cut = verdict.outcome is Outcome.CUT
        await self._over(replace(verdict, outcome=Outcome.ABANDONED) if is_cut else verdict)

    async def unreachable(self, error: str, *, was_asked: bool) -> None:
        """No answer came. `was_asked`: the provider may have taken the request all the same."""
        await self._over(Verdict(outcome=Outcome.UNREACHABLE, error=error, is_counted=not was_asked))

    async def _over(self, verdict: Verdict) -> None:
        """The call is over; only the first word about it counts."""
        if self.call.outcome is not None:
            return
        self.call = replace(
            self.call,
            outcome=verdict.outcome,
            error=verdict.error,
            model=verdict.model or self.call.model or self._request.model,
            tokens=verdict.tokens,
            is_counted=verdict.is_counted,
            is_final=verdict.is_final and self._request.has_tools,
            is_side=self._request.is_side,
        )
        failures = self.on_end(self.call)
        await self._tell(self.call)
        if failures:
            with contextlib.suppress(ChannelClosed):
                await self.reporter.model_given_up(self.call.host, failures)

    async def _tell(self, call: ModelCall) -> None:
        self._told = time.monotonic()
        with contextlib.suppress(ChannelClosed):
            await self.reporter.model_call(call)


class ModelWatches:
    """Makes the watches of one run, as long as there is a budget for them."""

    def __init__(self, reporter: Reporter, budget: ModelBudget) -> None:
        self.budget = budget
        self._reporter = reporter
        self._numbers = itertools.count(1)
        self._pace = Pace()
        self._breaker = Breaker()
        self._told = False  # whether the worker knows that the budget is used up
        self._more = asyncio.Event()  # a request has ended, or the worker knows more

    async def new(self, api: Api, host: str, model: str = "") -> ModelWatch:
        """A call that begins now, or when it is its turn.

        :param model: that is asked, where the path names it.
        :raises ModelRefused: the budget is used up, or the model fails again and again.
        """
        await self._require_budget()
        await self._pace.turn()
        await self._breaker.turn(host)
        await self._have_room()
        await self._require_budget()
        self.budget = self.budget.begun()  # at once: of two requests that come together, one may be the last
        call = ModelCall(id=f"{os.getpid()}-{next(self._numbers)}", host=host, api=api, model=model)
        watch = ModelWatch(reporter=self._reporter, call=call, on_end=self._ended)
        await watch.begin()
        return watch

    def tell(self, budget: ModelBudget) -> None:
        """The worker knows more about what counts beside this run; what the run used is known here."""
        self.budget = replace(budget, own=self.budget.own)
        self._more.set()

    async def _have_room(self) -> None:
        """Waits while requests under way could use up the budget: together they must not pass its limit. Also until
        the worker has reserved the request for the owner's day, which other runs share."""
        try:
            async with asyncio.timeout(_HELD_SECONDS):
                while self.budget.is_tight and self.budget.refusal() is None:
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            message = "near the limit of a budget, requests to models wait for one another."
            raise ModelRefused("budget", message, status=TOO_MANY) from None

    async def _require_budget(self) -> None:
        message = self.budget.refusal()
        if message is None:
            return
        if not self._told:
            self._told = True
            with contextlib.suppress(ChannelClosed):
                await self._reporter.budget_reached(message)
        raise ModelRefused("budget", message, status=FORBIDDEN)

    def _ended(self, call: ModelCall) -> int:
        assert call.outcome is not None
        self.budget = self.budget.ended(call)
        self._more.set()
        return self._breaker.ended(call.host, call.outcome, call.status)
