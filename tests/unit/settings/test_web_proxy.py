"""Which hosts are reached through the operator's proxy, and what its address may be."""

from __future__ import annotations

import pytest

from gitward.secrets import Secret
from gitward.web_proxy import Route, WebProxy, is_exception, parse_proxy


@pytest.mark.parametrize(
    ("url", "host", "port", "login"),
    [
        ("http://proxy.corp:3128", "proxy.corp", 3128, None),
        ("http://proxy.corp", "proxy.corp", 80, None),
        ("HTTP://proxy.corp:8080/", "proxy.corp", 8080, None),
        ("proxy.corp:3128", "proxy.corp", 3128, None),
        ("http://[2001:db8::1]:3128", "2001:db8::1", 3128, None),
        ("http://dev:p%40ss:word@10.0.0.1:3128", "10.0.0.1", 3128, "dev:p@ss:word"),
        ("dev:pass@proxy:1", "proxy", 1, "dev:pass"),
        ("http://dev@proxy:1", "proxy", 1, "dev:"),
    ],
)
def test_an_address_is_understood(url: str, host: str, port: int, login: str | None) -> None:
    proxy = parse_proxy(url)
    assert (proxy.host, proxy.port) == (host, port)
    assert proxy.login == (None if login is None else Secret(login))
    assert "pass" not in f"{proxy!r} {proxy}"


@pytest.mark.parametrize(
    "url",
    ["", "http://", "https://proxy:1", "socks5://proxy", "http://proxy:0", "http://proxy:70000", "http://proxy/path",
     "http://proxy?x=1", "http://a b:1", "http://[::1", "http://proxy:1#x"],
)  # fmt: skip
def test_what_cannot_be_a_proxy_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        parse_proxy(url)


@pytest.mark.parametrize(
    ("exceptions", "host", "port", "direct"),
    [
        ("", "github.com", 443, False),
        ("", "localhost", 80, True),
        ("", "127.0.0.1", 8080, True),
        ("", "::1", 8080, True),
        ("*", "github.com", 443, True),
        ("corp.example", "corp.example", 443, True),
        ("corp.example", "ghe.corp.example", 443, True),
        ("corp.example", "notcorp.example", 443, False),
        (".corp.example", "ghe.corp.example", 443, True),
        ("*.corp.example", "GHE.corp.example.", 443, True),
        ("a, b ,GHE.corp", "ghe.corp", 443, True),
        ("ghe.corp:8443", "ghe.corp", 8443, True),
        ("ghe.corp:8443", "ghe.corp", 443, False),
        ("10.0.0.0/8", "10.1.2.3", 443, True),
        ("10.0.0.0/8", "11.1.2.3", 443, False),
        ("10.0.0.0/8", "github.com", 443, False),
        ("10.1.2.3", "10.1.2.3", 443, True),
        ("2.3", "10.1.2.3", 443, False),
        ("2001:db8::1", "2001:db8::1", 443, True),
        ("[2001:db8::1]:8443", "2001:db8::1", 443, False),
        ("2001:db8::/32", "2001:db8::1", 443, True),
        ("no/network", "github.com", 443, False),
        (". ,*.", "github.com", 443, False),
    ],
)
def test_hosts_that_need_no_proxy(exceptions: str, host: str, port: int, *, direct: bool) -> None:
    assert is_exception(host, port, exceptions) is direct


def test_a_route_by_address() -> None:
    proxy = WebProxy(host="proxy", port=1)
    route = Route(proxy=proxy, exceptions="ghe.corp:443")
    assert route.proxy_for_url("https://github.com/a") is proxy
    assert route.proxy_for_url("https://ghe.corp/a") is None
    assert route.proxy_for_url("https://ghe.corp:8443/a") is proxy
    assert Route().proxy_for_url("https://github.com") is None
