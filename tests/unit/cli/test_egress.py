"""What the settings say of other hosts reaches the broker in one spelling, or stops the start."""

from __future__ import annotations

import pytest

from gitward.broker import EgressConfig
from gitward.cli.egress import egress_config
from gitward.errors import SettingsError
from gitward.settings import Settings, load_settings


def settings(**values: str) -> Settings:
    return load_settings(**values)


def test_nothing_is_open_by_default() -> None:
    assert egress_config(settings()) == EgressConfig()
    assert egress_config(settings(GITWARD_EGRESS=" , ")) == EgressConfig()


def test_rules_and_networks() -> None:
    config = egress_config(settings(GITWARD_EGRESS="PyPI.org, x.test:8443", GITWARD_EGRESS_PRIVATE="10.1.0.0/16"))
    assert config == EgressConfig(rules="pypi.org,x.test:8443", private=("10.1.0.0/16",))
    assert "http://deb.debian.org" in egress_config(settings(GITWARD_EGRESS="packages")).rules.split(",")


def test_each_wrong_entry_is_one_line() -> None:
    with pytest.raises(SettingsError) as raised:
        egress_config(settings(GITWARD_EGRESS="https://a.test,localhost", GITWARD_EGRESS_PRIVATE="127.0.0.0/8"))
    names = [problem.partition(": ")[0] for problem in raised.value.problems]
    assert names == ["GITWARD_EGRESS", "GITWARD_EGRESS", "GITWARD_EGRESS_PRIVATE"]
    assert raised.value.problems[0].startswith("GITWARD_EGRESS: entry 1 must be a host such as pypi.org")
