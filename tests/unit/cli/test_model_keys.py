"""The keys of known providers are injected by themselves, sealed at the start, and only to single paths."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitward.cli.egress import seal_model_keys, secret_sources
from gitward.errors import SettingsError
from gitward.secrets import Secret
from gitward.settings import load_settings

KEY, OTHER = "sk-ant-0123456789", "sk-oai-0123456789"


async def test_an_exported_key_goes_to_its_provider_and_to_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", OTHER)
    sources = secret_sources(load_settings())
    assert [(each.host, each.header, each.prefix) for each in sources.targets] == [
        ("api.anthropic.com", "x-api-key", ""),
        ("api.openai.com", "authorization", "Bearer "),
    ]
    assert await sources.take() == (Secret(KEY), Secret(OTHER))
    assert "ANTHROPIC_API_KEY" not in os.environ
    assert "OPENAI_API_KEY" not in os.environ


def test_such_a_host_is_open_to_agents_only_and_by_single_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    (target,) = secret_sources(load_settings()).targets
    assert target.agents_only
    assert target.paths == ("/v1/messages", "/v1/messages/count_tokens")


def test_without_a_key_nothing_is_open() -> None:
    assert secret_sources(load_settings()).targets == ()


async def test_a_key_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    sources = secret_sources(load_settings(ANTHROPIC_API_KEY_FILE=str(file)))
    assert await sources.take() == (Secret(KEY),)
    file.write_text(OTHER)
    assert await sources.take() == (Secret(OTHER),)


async def test_what_is_exported_comes_before_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key"
    file.write_text(OTHER)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    assert await secret_sources(load_settings(ANTHROPIC_API_KEY_FILE=str(file))).take() == (Secret(KEY),)


async def test_a_key_may_stand_in_dot_env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY={OTHER}\n")
    (tmp_path / ".env").chmod(0o600)
    monkeypatch.chdir(tmp_path)
    assert await secret_sources(load_settings()).take() == (Secret(OTHER),)


@pytest.mark.parametrize(
    "inject",
    [
        "api.anthropic.com = x-api-key: ANTHROPIC_API_KEY",
        "llm.corp.example /v1/messages = x-api-key: ANTHROPIC_API_KEY",
        "api.anthropic.com = authorization: Bearer GATEWAY_KEY",
    ],
)
def test_where_the_operator_names_host_or_variable_that_is_all(monkeypatch: pytest.MonkeyPatch, inject: str) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("GATEWAY_KEY", OTHER)
    targets = secret_sources(load_settings(GITWARD_INJECT=inject)).targets
    assert len(targets) == 1
    assert not targets[0].agents_only


def test_a_key_that_cannot_be_one_stops_the_start_and_is_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "two words")
    with pytest.raises(SettingsError) as caught:
        secret_sources(load_settings())
    (problem,) = caught.value.problems
    assert problem.startswith("ANTHROPIC_API_KEY: the key for api.anthropic.com is not set, has less than 8 characters")
    assert "two words" not in problem


def test_a_process_without_a_worker_seals_them_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    seal_model_keys()
    assert "ANTHROPIC_API_KEY" not in os.environ
