"""Sums the model calls of one run, whichever broker and attempt they passed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from gitward.grants.model_calls import ModelCall
from gitward.grants.prices import Prices
from gitward.grants.usage import Tokens, Usage, counted

_NOTHING = Usage()
_MOST_OPEN = 1000  # calls under way that are told apart; the ends of further ones count nothing twice


class Meter:
    """Told by the broker as it forwards. A call has an id, and so counts once."""

    def __init__(
        self, before: Usage = _NOTHING, *, prices: Prices, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """:param before: of earlier attempts; what was under way there ended with them, and nobody knows how."""
        self._prices, self._clock = prices, clock
        self._models = before.by_model
        self._seconds = before.seconds
        self._turn: float | None = None  # since when one goes on
        self._open: set[str] = set()
        self._lost: set[str] = set()  # calls of a broker that was replaced
        for _ in range(before.open):
            self._count(None)

    @property
    def usage(self) -> Usage:
        by_model = tuple(replace(each, usd=self._usd(each.model, each.tokens)) for each in self._models)
        return Usage(by_model=by_model, open=len(self._open) + len(self._lost), seconds=self.seconds)

    @property
    def seconds(self) -> float:
        """That turns took, the present one included."""
        return self._seconds + (0.0 if self._turn is None else self._clock() - self._turn)

    def turn_begins(self) -> None:
        self._turn = self._clock()

    def turn_ends(self) -> None:
        self._seconds, self._turn = self.seconds, None

    def saw(self, call: ModelCall) -> bool:
        """A call began, goes on, or ended. Whether that changed something."""
        process = call.process
        lost = {each for each in self._open if each.partition("-")[0] != process}
        self._open -= lost
        self._lost |= lost  # its end may still be on the way
        if call.outcome is None:
            if call.id in self._open or len(self._open) >= _MOST_OPEN:
                return bool(lost)
            self._open.add(call.id)
            return True
        self._open.discard(call.id)
        self._lost.discard(call.id)
        self._count(call)
        return True

    def close(self) -> None:
        """The last broker is gone: of what was under way nothing more will be known."""
        for _ in (*self._open, *self._lost):
            self._count(None)
        self._open.clear()
        self._lost.clear()

    def _count(self, call: ModelCall | None) -> None:
        model, tokens, known = ("", None, False) if call is None else (call.model, call.tokens, call.is_counted)
        self._models = counted(self._models, model, tokens or Tokens(), is_known=known)

    def _usd(self, model: str, tokens: Tokens) -> float | None:
        if not self._prices:
            return None
        cost = self._prices.cost(model, tokens) if tokens.total else 0.0
        return None if cost is None else round(cost, 9)
