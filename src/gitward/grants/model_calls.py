"""What the broker saw of a run's model calls: the only witness of whether a model answered.

The broker makes one `ModelCall` when a request begins and another one, with the same id, when it has ended; the worker
keeps them in `ModelCalls`. An agent's own word about either is not asked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

from gitward.grants.usage import Tokens

EVENT = "model.call"  # the type of the broker's event
MAX_ERROR = 400  # characters of a provider's sentence
MAX_MODEL = 128
MOST_FAILURES = 16  # in a row, of one host: then the broker passes no more requests on …
PATIENCE_SECONDS = 75.0  # … if they lasted so long; a provider's overload often passes within a minute
MOST_UNAUTHORIZED = 4  # the same at once, when the host does not know the key: that does not pass
_FIRST_TOLD = 5  # failures in a row, before it is an event
# An agent may ask again in another way, without tools, when a model takes none.
_OF_ITS_FORM = frozenset({400, 404, 422})
_MOST_OPEN = 1000  # calls under way that are remembered


class Api(StrEnum):
    """How a model is asked."""

    MESSAGES = "messages"  # Anthropic's
    RESPONSES = "responses"  # OpenAI's
    CHAT = "chat"  # chat completions
    GEMINI = "gemini"  # Google's generateContent


class Outcome(StrEnum):
    """What became of a call."""

    ANSWERED = "answered"  # a whole answer of a model passed
    REFUSED = "refused"  # the provider answered with an error, as status or within a stream that had begun
    CUT = "cut"  # the answer ended before it was whole
    UNREACHABLE = "unreachable"  # the provider could not be asked
    ABANDONED = "abandoned"  # the agent hung up: that is neither an answer nor a failure


@dataclass(frozen=True, kw_only=True)
class ModelCall:
    """One request for a model's answer, as far as it has come."""

    id: str  # "<process>-<number>": of this call, at this broker
    host: str
    api: Api
    model: str = ""  # that answered, by its own word; else the one that was asked for, if it could be read
    status: int | None = None  # of the HTTP answer
    outcome: Outcome | None = None  # None: it is under way
    error: str = ""  # the provider's own sentence, bounded, without secrets
    tokens: Tokens | None = None  # what the provider told of them, maybe not all; None: nothing
    is_counted: bool = False  # whether that is all that it cost
    is_final: bool = False  # it offered tools, and the whole answer asked for none: the model is done
    is_side: bool = False  # it is known to be beside the work: for a title or a summary

    @property
    def process(self) -> str:
        """The broker that it passed."""
        return self.id.partition("-")[0]

    def to_data(self) -> dict[str, str]:
        """As the broker's event carries it."""
        return {
            "id": self.id,
            "host": self.host,
            "api": self.api.value,
            "model": self.model,
            "status": "" if self.status is None else str(self.status),
            "outcome": "" if self.outcome is None else self.outcome.value,
            "error": self.error,
            "tokens": "" if self.tokens is None else self.tokens.to_text(),
            "counted": "yes" if self.is_counted else "",
            "final": "yes" if self.is_final else "",
            "side": "yes" if self.is_side else "",
        }

    @classmethod
    def of(cls, data: Mapping[str, str]) -> Self:
        return cls(
            id=data["id"],
            host=data["host"],
            api=Api(data["api"]),
            model=data["model"],
            status=int(data["status"]) if data["status"] else None,
            outcome=Outcome(data["outcome"]) if data["outcome"] else None,
            error=data["error"],
            tokens=Tokens.of_text(data["tokens"]) if data["tokens"] else None,
            is_counted=data["counted"] == "yes",
            is_final=data["final"] == "yes",
            is_side=data["side"] == "yes",
        )


@dataclass(frozen=True, kw_only=True)
class Tally:
    """The calls since some moment."""

    begun: int = 0
    answered: int = 0  # with a whole answer
    failed: int = 0
    failing: int = 0  # of those that failed: how many ended after the last whole answer that counts
    last_failure: ModelCall | None = None
    is_done: bool = False  # the last answer to the work asked for no tool; what failed after it was a side call
    is_work_failing: bool = False  # the last call that was no side call failed, and not for its own form

    @property
    def is_answered(self) -> bool:
        """Whether a model answered, and nothing failed after it."""
        return self.answered > 0 and self.failing == 0


class ModelCalls:
    """Told by the broker as it forwards. `begin` starts a tally anew: at each prompt."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tally = Tally()
        self._open: dict[str, ModelCall] = {}
        self._sign = clock()
        self._changed = asyncio.Event()
        self._over = asyncio.Event()
        self.exhausted: str | None = None  # the sentence about the budget that is used up
        self.given_up = False  # the broker refuses further requests, for the model failed too often

    @property
    def tally(self) -> Tally:
        """Of this prompt, by now."""
        return self._tally

    @property
    def open(self) -> int:
        """How many calls are under way."""
        return len(self._open)

    @property
    def last_sign(self) -> float:
        """When a model's host gave the last sign of life; by the clock."""
        return self._sign

    def budget_reached(self, message: str) -> None:
        """The broker refused a request for it; or the budget's time is over. The first sentence counts."""
        self.exhausted = self.exhausted or message
        self._over.set()

    def give_up(self, failures: int) -> None:
        """The broker passes no more requests on to one host, which failed so often in a row. The turn goes on if
        another host answered meanwhile."""
        if self._tally.failing >= failures:
            self.given_up = True
            self._over.set()

    async def until_over(self) -> None:
        """Returns when no further request begins."""
        await self._over.wait()

    def begin(self) -> None:
        """A prompt begins: what was before does not count for it."""
        self._tally = Tally()
        self._sign = self._clock()

    def heard(self) -> None:
        """Bytes of an answer passed."""
        self._sign = self._clock()

    def saw(self, call: ModelCall) -> bool:
        """A call began or ended; one that goes on is told again as a sign of life.

        :return: whether the model fails again and again, by now twice as often as when that was said before.
        """
        self.heard()
        self._forget_others(call)
        if call.outcome is None:
            if call.id in self._open:
                return False
            if len(self._open) < _MOST_OPEN:
                self._open[call.id] = call
            self._tally = replace(self._tally, begun=self._tally.begun + 1)
        else:
            self._open.pop(call.id, None)
            before, self._tally = self._tally, _ended(self._tally, call)
            self._changed.set()
            return self._tally.failing > before.failing and _is_worth_telling(self._tally.failing)
        self._changed.set()
        return False

    def _forget_others(self, call: ModelCall) -> None:
        """When the broker was replaced, what was under way at the old one ended with it."""
        self._open = {each: known for each, known in self._open.items() if known.process == call.process}

    async def settled(self, *, seconds: float) -> None:
        """Waits until no call is under way, for so long at most: an agent may say that it ended before the broker
        has told of its last answer."""
        try:
            async with asyncio.timeout(seconds):
                while self._open:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return


def _is_worth_telling(failing: int) -> bool:
    """5, 10, 20, 40, …"""
    times, rest = divmod(failing, _FIRST_TOLD)
    return rest == 0 and times & (times - 1) == 0


def _ended(tally: Tally, call: ModelCall) -> Tally:
    if call.outcome is Outcome.ABANDONED:
        return tally
    is_answered = call.outcome is Outcome.ANSWERED
    if not call.is_side:
        is_failing = not is_answered and call.status not in _OF_ITS_FORM
        tally = replace(tally, is_done=call.is_final, is_work_failing=is_failing)
    if not is_answered:
        return replace(tally, failed=tally.failed + 1, failing=tally.failing + 1, last_failure=call)
    # A title that is answered does not stand for work that is not.
    return replace(tally, answered=tally.answered + 1, failing=tally.failing if tally.is_work_failing else 0)
