"""What an operator may write about prices and daily budgets."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitward.cli.model_budgets import daily_budget_of, prices_of
from gitward.errors import SettingsError
from gitward.grants.model_budget import ModelLimits
from gitward.settings.fields import Settings

EXAMPLE = Path(__file__).parents[3] / "docs" / "prices.json"


def settings(tmp_path: Path, **given: str) -> Settings:
    return Settings(**{"GITWARD_DATA_DIR": tmp_path, **given})  # type: ignore[arg-type]  # by their aliases


def test_a_daily_budget_has_any_of_three_limits(tmp_path: Path) -> None:
    prices = str(EXAMPLE)
    whole = settings(tmp_path, GITWARD_DAILY_BUDGET="requests=5, tokens=700,usd=2.5", GITWARD_PRICES=prices)
    assert daily_budget_of(whole) == ModelLimits(requests=5, tokens=700, usd=2.5)
    assert not daily_budget_of(settings(tmp_path))


@pytest.mark.parametrize(
    "text", ["5", "requests", "requests=", "requests=x", "coins=3", "requests=0", "usd=nan", "usd=1"]
)
def test_a_daily_budget_that_makes_no_sense_stops_the_start(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="GITWARD_DAILY_BUDGET"):
        daily_budget_of(settings(tmp_path, GITWARD_DAILY_BUDGET=text))


def test_wrong_prices_stop_the_start_and_the_example_is_right(tmp_path: Path) -> None:
    assert prices_of(settings(tmp_path, GITWARD_PRICES=str(EXAMPLE)))
    with pytest.raises(SettingsError, match="GITWARD_PRICES"):
        prices_of(settings(tmp_path, GITWARD_PRICES=str(tmp_path / "none")))
