"""GITWARD_EGRESS and GITWARD_EGRESS_PRIVATE as values, and what they open."""

from __future__ import annotations

import pytest

from gitward.broker.policy.egress.rules import Policy, Way, parse_rules
from gitward.errors import PolicyDenied


def admitted(text: str, host: str, port: int = 443, way: Way = Way.TLS) -> str:
    """The rule that refuses, or the name."""
    policy = Policy(parse_rules(text), own=["ghe.corp.example", "gateway.example"])
    try:
        return policy.admit(host, port, way)
    except PolicyDenied as error:
        return error.rule


@pytest.mark.parametrize(
    ("text", "host", "port", "expected"),
    [
        ("pypi.org", "pypi.org", 443, "pypi.org"),
        ("pypi.org", "PyPI.org", 443, "pypi.org"),
        ("PYPI.org", "pypi.org", 443, "pypi.org"),
        ("pypi.org", "evilpypi.org", 443, "egress.host"),
        ("pypi.org", "pypi.org.evil.example", 443, "egress.host"),
        ("pypi.org", "a.pypi.org", 443, "egress.host"),
        ("pypi.org", "pypi.org", 8443, "egress.port"),
        ("pypi.org:8443", "pypi.org", 443, "egress.port"),
        ("pypi.org,pypi.org:8443", "pypi.org", 8443, "pypi.org"),
        ("*.example.org", "a.example.org", 443, "a.example.org"),
        ("*.example.org", "a.b.example.org", 443, "a.b.example.org"),
        ("*.example.org", "example.org", 443, "egress.host"),
        ("*.example.org", "evilexample.org", 443, "egress.host"),
        ("*.example.org:8443", "a.example.org", 8443, "a.example.org"),
        ("cdn-*.example.org", "cdn-1.example.org", 443, "cdn-1.example.org"),
        ("cdn-*.example.org", "cdn-1.evil.example.org", 443, "egress.host"),
        ("*", "anything.example", 443, "anything.example"),
        ("", "pypi.org", 443, "egress.host"),
    ],
)
def test_globs(text: str, host: str, port: int, expected: str) -> None:
    assert admitted(text, host, port) == expected


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "0177.0.0.1",
        "1.2.3.0x4",
        "[::1]",
        "::1",
        "localhost",
        "pypi.org.",
        "pypi..org",
        ".pypi.org",
        "-a.org",
        "a_b.org",
        "ｐｙｐｉ.org",
        "pypi。org",
        "user@pypi.org",
        "pypi.org%00.example",
        "a" * 64 + ".org",
        ".".join(["a" * 60] * 5),
        "",
        "*",
    ],
)
def test_what_is_no_name_is_refused_even_when_everything_is_open(host: str) -> None:
    assert admitted("*", host) == "egress.name"


@pytest.mark.parametrize(
    "host",
    [
        "github.com",
        "GitHub.COM",
        "api.github.com",
        "codeload.github.com",
        "raw.githubusercontent.com",
        "acme.ghe.com",
        "ghcr.io",
        "ghe.corp.example",
        "media.ghe.corp.example",
        "gateway.example",
    ],
)
def test_github_is_never_tunnelled(host: str) -> None:
    assert admitted("*,*:22,http://*", host) == "egress.github"
    assert admitted("*,*:22,http://*", host, 22) == "egress.github"
    assert admitted("*,*:22,http://*", host, 80, Way.PLAIN) == "egress.github"


def test_names_that_only_look_like_githubs_are_names_of_their_own() -> None:
    """DNS knows no punycode: this is another host, whatever a browser would show."""
    assert admitted("*", "xn--ithub-5ve.com") == "xn--ithub-5ve.com"
    assert admitted("*", "mygithub.com") == "mygithub.com"


def test_plain_http_is_opened_by_itself() -> None:
    assert admitted("http://deb.example.org", "deb.example.org", 80, Way.PLAIN) == "deb.example.org"
    assert admitted("http://deb.example.org", "deb.example.org", 80) == "egress.port"
    assert admitted("deb.example.org:80", "deb.example.org", 80, Way.PLAIN) == "egress.port"
    assert admitted("http://deb.example.org:8080", "deb.example.org", 8080, Way.PLAIN) == "deb.example.org"


@pytest.mark.parametrize(
    "host",
    [
        "pypi.org",
        "files.pythonhosted.org",
        "registry.npmjs.org",
        "proxy.golang.org",
        "static.crates.io",
        "deb.debian.org",
    ],
)
def test_the_preset_opens_registries(host: str) -> None:
    assert admitted("packages", host) == host
    assert admitted("packages, *.example.org", "a.example.org") == "a.example.org"


def test_the_preset_opens_debian_plainly_too() -> None:
    assert admitted("packages", "deb.debian.org", 80, Way.PLAIN) == "deb.debian.org"
    assert admitted("packages", "pypi.org", 80, Way.PLAIN) == "egress.port"


def test_rules_are_spelled_as_they_are_read() -> None:
    text = "a.example, b.example:8443, http://c.example, http://d.example:81, *.e.example"
    rules = parse_rules(text)
    assert ", ".join(map(str, rules)) == text
    assert parse_rules(",".join(map(str, rules))) == rules
    assert parse_rules(" , a.example,,a.example") == rules[:1]


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("https://pypi.org", ["entry 1 must be a host such as pypi.org, "]),
        ("pypi.org/simple", ["entry 1 must be a host such as pypi.org, "]),
        ("user:pass@pypi.org", ["entry 1 must be a host such as pypi.org, "]),
        ("pypi.org:0", ["entry 1 must have a port between 1 and 65535"]),
        ("pypi.org:99999", ["entry 1 must have a port between 1 and 65535"]),
        ("packages, localhost", ["entry 2 must name a host: "]),
        ("10.0.0.1", ["entry 1 must name a host: "]),
        ("[::1]:443", ["entry 1 must be a host"]),
        ("pypi.org.", ["entry 1 must name a host: "]),
        ("api.github.com", ["entry 1 must not be a host of GitHub"]),
        ("*.githubusercontent.com", ["entry 1 must not be a host of GitHub"]),
        ("a b.org, packges", ["entry 1 must be a host", "entry 2 must name a host: "]),
    ],
)
def test_wrong_entries_are_told_one_by_one(text: str, problems: list[str]) -> None:
    with pytest.raises(ValueError, match=r"^entry \d+ must") as raised:
        parse_rules(text)
    lines = str(raised.value).splitlines()
    assert len(lines) == len(problems)
    for line, beginning in zip(lines, problems, strict=True):
        assert line.startswith(beginning)
    assert "pass" not in str(raised.value)


def test_a_refusal_says_what_is_open() -> None:
    with pytest.raises(PolicyDenied) as raised:
        Policy(parse_rules("packages")).admit("evil.example", 443, Way.TLS)
    assert raised.value.message.startswith("evil.example is not open to this session; these are open: pypi.org, files.")
    assert raised.value.message.endswith(" more (GITWARD_EGRESS)")
    with pytest.raises(PolicyDenied) as raised:
        Policy(parse_rules("a.example:8443,http://a.example")).admit("a.example", 443, Way.TLS)
    assert raised.value.message == "on a.example, only this is open: a.example:8443, http://a.example"
