from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitward.broker.wire.target import encode_path, encode_query, parse_host, parse_path, parse_query
from gitward.errors import PolicyDenied

HOSTS = ("github.com", "api.github.com")


@pytest.mark.parametrize(
    ("raw", "segments"),
    [
        ("/", ()),
        ("/octo/demo", ("octo", "demo")),
        ("/api/v3/", ("api", "v3", "")),
        ("/octo/demo.git/info/refs", ("octo", "demo.git", "info", "refs")),
        ("/a%20b/%C3%BC", ("a b", "ü")),
        ("/a:b@c", ("a:b@c",)),
        ("/%67ithub", ("github",)),
    ],
)
def test_a_path_has_one_reading(raw: str, segments: tuple[str, ...]) -> None:
    assert parse_path(raw) == (segments, ())


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "*",
        "octo/demo",
        "http://github.com/octo/demo",
        "//octo/demo",
        "/octo//demo",
        "/octo/../demo",
        "/octo/./demo",
        "/octo/..",
        "/octo/%2e%2e/demo",
        "/octo/%2E/demo",
        "/octo%2fdemo",
        "/octo%2Fdemo",
        "/octo%5cdemo",
        "/octo\\demo",
        "/octo/de%00mo",
        "/octo/de%0amo",
        "/octo/de%252fmo",
        "/octo/de%2",
        "/octo/%ff",
        "/octo/de mo",
        "/octo/demo#x",
        "/octo/dé",
        "/octo/%ed%a0%80",
    ],
)
def test_a_path_with_two_readings_is_refused(raw: str) -> None:
    with pytest.raises(PolicyDenied) as denied:
        parse_path(raw)
    assert denied.value.rule.startswith("http.")


@pytest.mark.parametrize(
    ("values", "port", "host"),
    [
        (["github.com"], 443, "github.com"),
        (["api.github.com:443"], 443, "api.github.com"),
        (["github.com:8443"], 8443, "github.com"),
        (["GitHub.COM"], 443, "github.com"),
    ],
)
def test_known_hosts(values: list[str], port: int, host: str) -> None:
    assert parse_host(values, port=port, hosts=HOSTS) == host


@pytest.mark.parametrize(
    ("values", "port"),
    [
        ([], 443),
        ([""], 443),
        (["github.com", "github.com"], 443),
        (["evil.example"], 443),
        (["github.com."], 443),
        (["GIT\u212aUB.com"], 443),
        (["github.com:80"], 443),
        (["github.com:"], 443),
        (["github.com:0443"], 443),
        (["github.com"], 8443),
        (["github.com/"], 443),
        (["user@github.com"], 443),
        (["github.com, github.com"], 443),
        ([" github.com"], 443),
        (["gıthub.com"], 443),
    ],
)
def test_other_hosts_are_refused(values: list[str], port: int) -> None:
    with pytest.raises(PolicyDenied, match=r"github\.com"):
        parse_host(values, port=port, hosts=HOSTS)


def test_a_query_is_decoded_once() -> None:
    assert parse_query("a=1&b=x%20y&c=x+y&d&e=%2526") == (
        ("a", "1"),
        ("b", "x y"),
        ("c", "x y"),
        ("d", ""),
        ("e", "%26"),
    )


segments = st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\%"), min_size=1))


@given(segments.filter(lambda parts: not {".", ".."} & set(parts)))
def test_what_is_sent_on_reads_the_same(parts: list[str]) -> None:
    assert parse_path(encode_path(parts)) == (tuple(parts), ())


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
            st.text(st.characters(exclude_categories=["Cs"])),
        )
    )
)
def test_a_query_that_is_sent_on_reads_the_same(pairs: list[tuple[str, str]]) -> None:
    assert parse_query(encode_query(tuple(pairs))) == tuple(pairs)


@given(st.text(max_size=60))
def test_any_path_is_read_or_refused(raw: str) -> None:
    """Whatever is read holds nothing that another reader could split or climb with."""
    try:
        parts, _ = parse_path("/" + raw)
    except PolicyDenied:
        return
    assert not {".", ".."} & set(parts)
    assert not any(mark in part for part in parts for mark in "/\\%\0\n")
    assert "" not in parts[:-1]
