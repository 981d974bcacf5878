"""What models cost: the operator's list, in US dollars for a million tokens."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gitward.grants.usage import Tokens

MOST_PRICES = 300
_MOST_BYTES = 256 * 1024
_LONGEST_NAME = 128
_PER = 1_000_000
_KINDS = ("input", "cached", "cache_written", "output")


class WrongPrices(ValueError):
    """The file cannot be understood; its text says why."""


@dataclass(frozen=True, kw_only=True)
class Price:
    """Of one model."""

    input: float
    cached: float
    cache_written: float
    output: float

    def cost(self, tokens: Tokens) -> float:
        """In US dollars."""
        return sum(float(getattr(self, kind)) * number for kind, number in tokens.by_kind.items()) / _PER


class Prices:
    """By a model's name; an entry that ends in `*` is for all names that begin so, the longest first."""

    def __init__(self, prices: Mapping[str, Price]) -> None:
        self._prices = dict(prices)
        self._prefixes = sorted((name[:-1] for name in prices if name.endswith("*")), key=len, reverse=True)

    def __bool__(self) -> bool:
        return bool(self._prices)

    def entry(self, model: str) -> str | None:
        """The name of the entry that fits."""
        if model in self._prices:
            return model
        return next((f"{prefix}*" for prefix in self._prefixes if model.startswith(prefix)), None)

    def cost(self, model: str, tokens: Tokens) -> float | None:
        """None: the model has no price."""
        name = self.entry(model)
        return None if name is None else self._prices[name].cost(tokens)

    def to_message(self) -> dict[str, Any]:
        return {name: asdict(price) for name, price in self._prices.items()}

    @classmethod
    def of_message(cls, message: Mapping[str, Any]) -> Prices:
        return cls({name: Price(**price) for name, price in message.items()})


NO_PRICES = Prices({})


def read_prices(path: Path | None) -> Prices:
    """:raises WrongPrices: it cannot be read, or is not what it must be."""
    if path is None:
        return NO_PRICES
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES + 1)
        document = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise WrongPrices(f"{path} cannot be read as JSON ({type(error).__name__})") from None
    if len(text) > _MOST_BYTES:
        raise WrongPrices(f"{path} has more than {_MOST_BYTES} bytes")
    models = document.get("models") if isinstance(document, dict) else None
    if not isinstance(models, dict) or not models:
        raise WrongPrices(f'{path} must have prices below "models"; docs/agents.md shows an example')
    if len(models) > MOST_PRICES:
        raise WrongPrices(f"{path} has prices of {len(models)} models; {MOST_PRICES} are allowed")
    return Prices({name: _price(name, value) for name, value in models.items()})


def _price(name: str, value: object) -> Price:
    if not 0 < len(name.rstrip("*")) <= _LONGEST_NAME or not name.isprintable():
        raise WrongPrices(f"the model {name[:_LONGEST_NAME]!r}: a name, which may end in *, is expected")
    if not isinstance(value, dict) or not {"input", "output"} <= value.keys() <= set(_KINDS):
        raise WrongPrices(f"the model {name}: input and output are expected, and cached and cache_written allowed")
    if not all(_is_amount(each) for each in value.values()):
        raise WrongPrices(f"the model {name}: a price is a number from 0 to 1,000,000")
    given = {kind: float(amount) for kind, amount in value.items()}
    return Price(**{"cached": given["input"], "cache_written": given["input"], **given})


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _PER
