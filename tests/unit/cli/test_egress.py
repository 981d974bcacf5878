"""What the settings say of other hosts reaches the broker in one spelling, or stops the start."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitward.broker import EgressConfig
from gitward.cli.egress import egress_config, secret_sources
from gitward.errors import SettingsError
from gitward.secrets import Secret
from gitward.settings.fields import Settings
from gitward.settings.loading import load_settings


def settings(**values: str) -> Settings:
    return load_settings(**values)


def test_nothing_is_open_by_default() -> None:
    assert egress_config(settings()) == EgressConfig()
    assert egress_config(settings(GITWARD_EGRESS=" , ")) == EgressConfig()


def test_rules_and_networks() -> None:
    config = egress_config(settings(GITWARD_EGRESS="PyPI.org, x.test:8443", GITWARD_EGRESS_PRIVATE="10.1.0.0/16"))
    assert config == EgressConfig(rules="pypi.org,x.test:8443", private=("10.1.0.0/16",))
    assert "http://deb.debian.org" in egress_config(settings(GITWARD_EGRESS="packages")).rules.split(",")


def test_githubs_hosts_are_those_of_the_settings() -> None:
    enterprise = {"GITHUB_SERVER_URL": "https://ghe.test", "GITHUB_API_URL": "https://ghe.test/api/v3"}
    with pytest.raises(SettingsError, match="GITWARD_EGRESS: entry 1 must not be a host of GitHub"):
        egress_config(settings(GITWARD_EGRESS="pages.ghe.test", **enterprise))
    with pytest.raises(SettingsError, match="GITWARD_INJECT: entry 1 must not name a host of GitHub"):
        secret_sources(settings(GITWARD_INJECT="ghe.test = x-api-key: MODEL_KEY", **enterprise))


def test_secrets_must_be_there_at_the_start(tmp_path: Path) -> None:
    key = tmp_path / "key"
    inject = f"a.test = x-api-key: file:{key}; b.test = authorization: Bearer UNSET_KEY"
    with pytest.raises(SettingsError) as raised:
        secret_sources(settings(GITWARD_INJECT=inject))
    assert raised.value.problems == (
        "GITWARD_INJECT: entry 1 names a secret that cannot be read (FileNotFoundError)",
        "GITWARD_INJECT: entry 2 names a secret that is not set, has less than 8 characters, "
        "or some that no header may have",
    )
    key.write_text("sk-0123456789\n")
    sources = secret_sources(settings(GITWARD_INJECT=inject.split(";", maxsplit=1)[0]))
    assert [(target.host, target.header) for target in sources.targets] == [("a.test", "x-api-key")]


async def test_a_secret_that_cannot_be_read_any_more_is_left_out_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The run goes on; what it asks of that host is answered with a sentence."""
    key = tmp_path / "key"
    key.write_text("sk-0123456789")
    sources = secret_sources(settings(GITWARD_INJECT=f"a.test = x-api-key: file:{key}"))
    assert await sources.take() == (Secret("sk-0123456789"),)
    key.write_text("sk-9876543210")
    assert await sources.take() == (Secret("sk-9876543210"),)
    key.unlink()
    assert await sources.take() == (None,)
    assert caplog.messages == ["GITWARD_INJECT: the secret for a.test cannot be read (FileNotFoundError)"]


def test_each_wrong_entry_is_one_line() -> None:
    with pytest.raises(SettingsError) as raised:
        egress_config(settings(GITWARD_EGRESS="https://a.test,localhost", GITWARD_EGRESS_PRIVATE="127.0.0.0/8"))
    names = [problem.partition(": ")[0] for problem in raised.value.problems]
    assert names == ["GITWARD_EGRESS", "GITWARD_EGRESS", "GITWARD_EGRESS_PRIVATE"]
    assert raised.value.problems[0].startswith("GITWARD_EGRESS: entry 1 must be a host such as pypi.org")


async def test_two_entries_may_name_one_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sealed once; each entry has it, and no child of this process."""
    monkeypatch.setenv("MODEL_KEY", "sk-0123456789")
    inject = "a.test = x-api-key: MODEL_KEY; b.test = authorization: Bearer MODEL_KEY; a.test = x-two: MODEL_KEY"
    sources = secret_sources(settings(GITWARD_INJECT=inject))
    assert "MODEL_KEY" not in os.environ
    assert await sources.take() == (Secret("sk-0123456789"),) * 3
