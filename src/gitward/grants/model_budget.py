"""What a run may still ask of models: the broker asks before each request, and the worker keeps the sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from gitward.grants.model_calls import ModelCall
from gitward.grants.prices import NO_PRICES, Prices
from gitward.grants.usage import Tokens, Usage

MOST_UNKNOWN = 10  # answers of one run whose tokens are unknown, where tokens or dollars are limited
MARGIN = 2  # so many times what the largest request used is left free for each one that goes beside others


@dataclass(frozen=True, kw_only=True)
class ModelLimits:
    """None: no limit."""

    requests: int | None = None
    tokens: int | None = None
    usd: float | None = None

    def __bool__(self) -> bool:
        return (self.requests, self.tokens, self.usd) != (None, None, None)


NO_LIMITS = ModelLimits()


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What was used by now."""

    requests: int = 0
    unknown: int = 0  # requests that ended without known tokens
    tokens: int = 0
    usd: float = 0.0
    unpriced: str | None = None  # a model that answered and has no price
    open: int = 0  # requests under way, at this broker
    largest_tokens: int = 0  # what one request used at most, of those that ended at this broker
    largest_usd: float = 0.0

    @classmethod
    def of(cls, usage: Usage, prices: Prices) -> Self:
        unpriced = (each.model for each in usage.by_model if each.tokens.total and prices.entry(each.model) is None)
        return cls(
            requests=usage.requests,
            unknown=usage.unknown_requests - usage.open,
            tokens=usage.tokens.total,
            usd=usage.known_usd,
            unpriced=next(unpriced, None),
        )

    def begun(self) -> Spent:
        return replace(self, requests=self.requests + 1, open=self.open + 1)

    def ended(self, tokens: Tokens, *, is_known: bool, cost: float | None, model: str) -> Spent:
        return replace(
            self,
            unknown=self.unknown + (not is_known),
            tokens=self.tokens + tokens.total,
            usd=self.usd + (cost or 0.0),
            unpriced=model if cost is None and tokens.total else self.unpriced,
            open=self.open - 1,
            largest_tokens=max(self.largest_tokens, tokens.total),
            largest_usd=max(self.largest_usd, cost or 0.0),
        )


@dataclass(frozen=True, kw_only=True)
class Account:
    """One limit that holds for a run: its own, or its owner's of the day."""

    whose: str  # as the sentence of a refusal begins: "This run's budget"
    limits: ModelLimits
    elsewhere: Spent = Spent()  # what counts beside the run's own; may be negative: the run's own of another day
    # Of the run's requests, how many may have begun by what was reserved for it; None: as many as the limit has room.
    granted: int | None = None
    is_exhausted: bool = False  # no more can be reserved

    def refusal(self, own: Spent) -> str | None:
        """Why no request may begin."""
        limits, more = self.limits, self.elsewhere
        if limits.requests is not None and self._is_used_up(own, limits.requests):
            return f"{self.whose} of {limits.requests:,} model requests is used up."
        if limits.tokens is not None and (used := own.tokens + more.tokens) >= limits.tokens:
            return f"{self.whose} of {limits.tokens:,} tokens is used up: {used:,} were counted."
        if limits.usd is not None and (spent := own.usd + more.usd) >= limits.usd:
            return f"{self.whose} of {limits.usd:,.2f} US dollars is used up: {spent:,.2f} were counted."
        return self._unknown(own)

    def _is_used_up(self, own: Spent, requests: int) -> bool:
        if self.granted is None:
            return own.requests + self.elsewhere.requests >= requests
        return self.is_exhausted and own.requests >= self.granted

    def is_tight(self, own: Spent) -> bool:
        """Whether one more request beside those under way could pass the limit, as far as the largest one tells; or
        whether none is reserved for it yet."""
        if self.granted is not None and not self.is_exhausted and own.requests >= self.granted:
            return True
        limits, more = self.limits, self.elsewhere
        left: list[tuple[float, float]] = []  # and what one request used at most
        if limits.tokens is not None:
            left.append((limits.tokens - own.tokens - more.tokens, own.largest_tokens))
        if limits.usd is not None:
            left.append((limits.usd - own.usd - more.usd, own.largest_usd))
        together = MARGIN * (own.open + 1)
        return own.open > 0 and any(not largest or together * largest > rest for rest, largest in left)

    def _unknown(self, own: Spent) -> str | None:
        """What cannot be counted cannot be limited."""
        if self.limits.usd is not None and own.unpriced is not None:
            return f"{self.whose} is in US dollars, and the model {own.unpriced} has no price in GITWARD_PRICES."
        bounded = self.limits.usd is not None or self.limits.tokens is not None
        if bounded and own.unknown >= MOST_UNKNOWN:
            return f"{self.whose} cannot be kept: of {own.unknown} model requests the tokens are unknown."
        return None


@dataclass(frozen=True, kw_only=True)
class ModelBudget:
    """All limits of a run, and what it has used of them."""

    accounts: tuple[Account, ...] = ()
    own: Spent = Spent()
    prices: Prices = NO_PRICES

    def refusal(self) -> str | None:
        """Why no request may begin; None: one may."""
        return next((said for each in self.accounts if (said := each.refusal(self.own)) is not None), None)

    @property
    def is_tight(self) -> bool:
        """Whether a request must wait for those under way, so that together they do not pass a limit."""
        return any(each.is_tight(self.own) for each in self.accounts)

    def begun(self) -> ModelBudget:
        """A request is passed on."""
        return replace(self, own=self.own.begun())

    def ended(self, call: ModelCall) -> ModelBudget:
        """With what it used."""
        tokens = call.tokens or Tokens()
        cost = self.prices.cost(call.model, tokens)
        return replace(self, own=self.own.ended(tokens, is_known=call.is_counted, cost=cost, model=call.model))

    def to_message(self) -> dict[str, Any]:
        is_priced = any(each.limits.usd is not None for each in self.accounts)
        return {
            "accounts": [asdict(each) for each in self.accounts],
            "own": asdict(self.own),
            "prices": self.prices.to_message() if is_priced else {},
        }

    @classmethod
    def of_message(cls, message: Mapping[str, Any]) -> Self:
        return cls(
            accounts=tuple(
                Account(**{**each, "limits": ModelLimits(**each["limits"]), "elsewhere": Spent(**each["elsewhere"])})
                for each in message["accounts"]
            ),
            own=Spent(**message["own"]),
            prices=Prices.of_message(message["prices"]),
        )
