"""What the settings say about the cost of models and about budgets."""

from __future__ import annotations

from gitward.errors import SettingsError
from gitward.grants.model_budget import ModelLimits
from gitward.grants.prices import Prices, WrongPrices, read_prices
from gitward.settings.fields import Settings

_FORM = "must be such as requests=500,tokens=20000000,usd=25; each of them may be omitted"
_KINDS = {"requests": int, "tokens": int, "usd": float}


def prices_of(settings: Settings) -> Prices:
    """:raises SettingsError: GITWARD_PRICES cannot be understood."""
    try:
        return read_prices(settings.prices)
    except WrongPrices as error:
        raise SettingsError([f"GITWARD_PRICES: {error}"]) from None


def daily_budget_of(settings: Settings) -> ModelLimits:
    """:raises SettingsError: GITWARD_DAILY_BUDGET cannot be understood, or kept."""
    parts = [part.strip().partition("=") for part in settings.daily_budget.split(",") if part.strip()]
    try:
        given = {name.strip(): _KINDS[name.strip()](amount) for name, _, amount in parts}
    except (KeyError, ValueError):
        raise SettingsError([f"GITWARD_DAILY_BUDGET: {_FORM}"]) from None
    if len(given) < len(parts) or not all(0 < amount < 10**15 for amount in given.values()):
        raise SettingsError([f"GITWARD_DAILY_BUDGET: {_FORM}"])
    if "usd" in given and settings.prices is None:
        raise SettingsError(["GITWARD_DAILY_BUDGET: a limit in US dollars needs GITWARD_PRICES"])
    return ModelLimits(**given)
