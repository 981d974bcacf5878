"""The variables that lead tools to the proxy."""

from __future__ import annotations

from gitward.sandboxes.fake import FakeEndpoint
from gitward.sandboxes.proxy_environment import proxy_variables


def test_without_a_proxy_there_are_none() -> None:
    assert proxy_variables(FakeEndpoint()) == {}


def test_the_endpoints_own_hosts_stay_direct() -> None:
    variables = proxy_variables(FakeEndpoint(proxy_port=3128))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        assert variables[name] == variables[name.lower()] == "http://127.0.0.1:3128"
    assert variables["NO_PROXY"] == variables["no_proxy"] == "localhost,127.0.0.1,::1,api.github.com,github.com"
