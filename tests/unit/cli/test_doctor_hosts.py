"""What the doctor says of hosts for which the broker adds a key."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from gitward.broker.client.injected_secrets import SecretSources
from gitward.broker.policy.inject.rules import parse_injections
from gitward.cli.doctor.findings import Finding, Verdict
from gitward.cli.doctor.hosts import look_at_keys
from gitward.settings.fields import Settings


async def found() -> Finding:
    sources = SecretSources(parse_injections("llm.corp.test = x-api-key: CORP_KEY"))
    [finding] = [each async for each in look_at_keys(Settings(), sources)]
    return finding


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORP_KEY", "sk-0123456789abcdef")


async def test_a_key_s_host_may_be_within_the_company(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.5", 443))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert await found() == Finding(
        part="key: llm.corp.test", verdict=Verdict.OK, detail="CORP_KEY is set; the broker may connect to the host"
    )


async def test_a_host_without_an_address_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    finding = await found()
    assert (finding.verdict, "has no address here" in finding.detail) == (Verdict.WARN, True)
