"""What model calls used: tokens as the providers told them, summed by model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

UNNAMED = "unknown"  # the model of a call whose answer named none
OTHER = "other"  # all models beyond MOST_MODELS
MOST_MODELS = 30  # of one run that are told apart; whoever asks chooses the names


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """All but `reasoning` are disjoint: their sum is what the call used."""

    input: int = 0  # neither read from the provider's cache nor written to it
    cached: int = 0  # of the input: read from the cache
    cache_written: int = 0  # of the input: written to the cache
    output: int = 0
    reasoning: int = 0  # a part of `output`

    @property
    def total(self) -> int:
        return self.input + self.cached + self.cache_written + self.output

    @property
    def by_kind(self) -> dict[str, int]:
        """The disjoint ones."""
        names = ("input", "cached", "cache_written", "output")
        return {name: getattr(self, name) for name in names}

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(**{each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(Tokens)})

    def to_text(self) -> str:
        """As an event of the broker carries it."""
        return ",".join(str(getattr(self, each.name)) for each in fields(self))

    @classmethod
    def of_text(cls, text: str) -> Self:
        names = (each.name for each in fields(cls))
        return cls(**dict(zip(names, map(int, text.split(",")), strict=True)))


@dataclass(frozen=True, kw_only=True)
class ModelUsage:
    """The calls of one model that have ended."""

    model: str
    requests: int = 0
    unknown_requests: int = 0  # of these: not all of their tokens are known; what was told of them is in `tokens`
    tokens: Tokens = Tokens()
    usd: float | None = None  # what `tokens` cost; None: the model has no price

    def plus(self, tokens: Tokens, *, is_known: bool) -> ModelUsage:
        unknown = self.unknown_requests + (not is_known)
        return replace(self, requests=self.requests + 1, unknown_requests=unknown, tokens=self.tokens + tokens)


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Of one run, over all its attempts."""

    by_model: tuple[ModelUsage, ...] = ()
    open: int = 0  # calls under way
    reserved: int = 0  # calls that may still begin: they count for the owner's day already
    seconds: float = 0.0  # that agents' turns took

    @property
    def requests(self) -> int:
        """Those that began."""
        return sum(each.requests for each in self.by_model) + self.open

    @property
    def unknown_requests(self) -> int:
        """Those of which not all tokens are known, or known yet."""
        return sum(each.unknown_requests for each in self.by_model) + self.open

    @property
    def tokens(self) -> Tokens:
        return sum((each.tokens for each in self.by_model), Tokens())

    @property
    def usd(self) -> float | None:
        """What `tokens` cost by the operator's prices; None: a model has none."""
        if not self.by_model or any(each.usd is None for each in self.by_model):
            return None
        return self.known_usd

    @property
    def known_usd(self) -> float:
        """What those models cost that have a price."""
        return round(sum(each.usd or 0.0 for each in self.by_model), 6)

    def to_json(self) -> dict[str, Any]:
        """As events and the API have it."""
        return {
            **_numbers(self.requests, self.unknown_requests, self.tokens, self.usd),
            "seconds": round(self.seconds, 3),
            "by_model": [
                {"model": each.model, **_numbers(each.requests, each.unknown_requests, each.tokens, each.usd)}
                for each in self.by_model
            ],
        }

    def to_stored(self) -> dict[str, Any]:
        """As a run's row keeps it."""
        by_model = [asdict(each) for each in self.by_model]
        return {"by_model": by_model, "open": self.open, "reserved": self.reserved, "seconds": self.seconds}

    @classmethod
    def of_stored(cls, stored: Mapping[str, Any]) -> Usage:
        by_model = tuple(
            ModelUsage(**{**each, "tokens": Tokens(**each["tokens"])}) for each in stored.get("by_model", ())
        )
        return cls(
            by_model=by_model,
            open=stored.get("open", 0),
            reserved=stored.get("reserved", 0),
            seconds=stored.get("seconds", 0.0),
        )


def _numbers(requests: int, unknown: int, tokens: Tokens, usd: float | None) -> dict[str, Any]:
    return {
        "requests": requests,
        "unknown_requests": unknown,
        "input_tokens": tokens.input,
        "cached_tokens": tokens.cached,
        "cache_written_tokens": tokens.cache_written,
        "output_tokens": tokens.output,
        "reasoning_tokens": tokens.reasoning,
        "usd": usd,
    }


def counted(by_model: Sequence[ModelUsage], model: str, tokens: Tokens, *, is_known: bool) -> tuple[ModelUsage, ...]:
    """With one more call that has ended."""
    known = {each.model: each for each in by_model}
    name = model or UNNAMED
    if name not in known and len(known) >= MOST_MODELS:
        name = OTHER
    known[name] = known.get(name, ModelUsage(model=name)).plus(tokens, is_known=is_known)
    return tuple(known.values())
