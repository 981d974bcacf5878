"""GITWARD_INJECT: what its entries mean, which headers cross, and how an answer is masked."""

from __future__ import annotations

import base64
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitward.broker import InjectConfig
from gitward.broker.policy.inject.headers import answer_headers, request_headers
from gitward.broker.policy.inject.mask import StreamMask
from gitward.broker.policy.inject.rules import Injection, parse_injections
from gitward.secrets import Secret

KEY = "sk-0123456789abcdefghij"


def test_entries() -> None:
    text = "api.example.com = x-api-key: MODEL_KEY; API.other.example:8443=Authorization:Bearer file:/run/key ;"
    assert parse_injections(text) == (
        Injection(target=InjectConfig(host="api.example.com", port=443, header="x-api-key"), source="MODEL_KEY"),
        Injection(
            target=InjectConfig(host="api.other.example", port=8443, header="authorization", prefix="Bearer "),
            source="file:/run/key",
        ),
    )
    assert parse_injections("") == ()


def test_paths_of_an_entry() -> None:
    text = "a.test:8443 /v1/messages  /v1/models/* / = authorization: Bearer MODEL_KEY"
    (entry,) = parse_injections(text)
    assert (entry.target.host, entry.target.port, entry.target.paths) == (
        "a.test",
        8443,
        ("/v1/messages", "/v1/models/*", "/"),
    )
    (colon,) = parse_injections("a.test /v1/models/x:generate = x-api-key: MODEL_KEY")
    assert colon.target.paths == ("/v1/models/x:generate",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("api.example.com", "entry 1 must be like"),
        ("api.example.com = x-api-key", "entry 1 must be like"),
        ("api.example.com = x-api-key: Bearer two words", "entry 1 must be like"),
        (f"api.example.com = x-api-key: {KEY}", "entry 1 must name the secret, not hold it"),
        (f"api.example.com = authorization: Bearer {KEY}", "entry 1 must name the secret, not hold it"),
        ("api.example.com = x-api-key: model_key", "entry 1 must name the secret, not hold it"),
        ("api.example.com = x-api-key: file:key", "entry 1 must give the file by its absolute path"),
        ("api.example.com = x-api-key: GITHUB_TOKEN", "entry 1 must name another variable"),
        ("api.example.com = x-api-key: GITWARD_INJECT", "entry 1 must name another variable"),
        ("api.example.com = host: MODEL_KEY", "entry 1 names a header that cannot carry a secret"),
        ("api.example.com = Content-Length: MODEL_KEY", "entry 1 names a header that cannot carry a secret"),
        ("api.github.com = x-api-key: MODEL_KEY", "entry 1 must not name a host of GitHub"),
        ("*.example.com = x-api-key: MODEL_KEY", "entry 1 must name one host in full"),
        ("localhost = x-api-key: MODEL_KEY", "entry 1 must name one host in full"),
        ("10.0.0.1 = x-api-key: MODEL_KEY", "entry 1 must name one host in full"),
        ("api.example.com:0 = x-api-key: MODEL_KEY", "entry 1 must have a port"),
        ("a.test/v1 = x-api-key: MODEL_KEY", "entry 1 must be like"),
        ("a.test v1 = x-api-key: MODEL_KEY", "entry 1 must be like"),
        ("a.test /v1/../x = x-api-key: MODEL_KEY", "entry 1 must list paths such as"),
        ("a.test //x = x-api-key: MODEL_KEY", "entry 1 must list paths such as"),
        ("a.test /v1?x = x-api-key: MODEL_KEY", "entry 1 must list paths such as"),
        ("a.test /v1/%c3%a4 = x-api-key: MODEL_KEY", "entry 1 must list paths such as"),
        ("a.test /v1/*/x = x-api-key: MODEL_KEY", "entry 1 must list paths such as"),
        ("a.test /v1/x* = x-api-key: MODEL_KEY", "entry 1 must have * in a path only as its whole last part"),
        ("a.test = x: KEY_A; a.test = X: KEY_B", "entry 2 repeats the host and the header of an earlier entry"),
    ],
)
def test_wrong_entries_are_told_and_never_quoted(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r"^entry \d") as raised:
        parse_injections(text)
    assert str(raised.value).startswith(problem)
    assert KEY not in str(raised.value)


def test_the_sandboxs_own_credentials_do_not_cross() -> None:
    sent = [
        ("Accept", "text/event-stream"),
        ("X-API-Key", "dummy"),
        ("x_api_key", "dummy"),
        ("Authorization", "Bearer dummy"),
        ("Cookie", "a=b"),
        ("X-Custom", "one"),
        ("X-Custom", "two"),
        ("X-Hop", "gone"),
        ("Connection", "keep-alive, X-Hop"),
        ("Transfer-Encoding", "chunked"),
        ("Host", "api.example.com"),
        ("Range", "bytes=10-14"),
        ("X-Forwarded-Host", "evil.test"),
        ("X-Special", "dummy"),
    ]
    kept = request_headers(sent, injected=["x-special"])
    assert list(kept.items()) == [("Accept", "text/event-stream"), ("X-Custom", "one"), ("X-Custom", "two")]


def test_what_an_answer_says_of_its_connection_stays_here() -> None:
    sent = [
        ("Content-Type", "text/plain"),
        ("Set-Cookie", "a=b"),
        ("Connection", "x-hop"),
        ("X-Hop", "1"),
        ("Via", "x"),
    ]
    assert answer_headers(sent) == [("Content-Type", "text/plain"), ("Via", "x")]


def spellings() -> list[bytes]:
    raw = KEY.encode()
    return [raw, raw.hex().encode(), base64.b64encode(raw), base64.b64encode(b"a" + raw), base64.b64encode(b"ab" + raw)]


@given(cuts=st.lists(st.integers(0, 400), max_size=30), spelling=st.sampled_from(spellings()))
def test_a_secret_is_masked_wherever_the_stream_is_cut(cuts: list[int], spelling: bytes) -> None:
    whole = b'data: {"echo": "' + spelling + b'"}\n\n' + KEY[:10].encode() + b" " + KEY.encode()
    edges = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    mask = StreamMask([Secret(KEY)])
    pieces = [mask.feed(whole[start:end]) for start, end in itertools.pairwise(edges)]
    shown = b"".join(pieces) + mask.flush()
    assert len(shown) == len(whole)
    assert shown.startswith(b'data: {"echo": "')
    assert KEY.encode() not in shown
    assert spelling[4:-4] not in shown
    assert shown.endswith(KEY[:10].encode() + b" " + b"*" * len(KEY))


def test_a_stream_is_not_held_up() -> None:
    """An event of a model's answer goes on at once; only the beginning of a secret waits."""
    mask = StreamMask([Secret(KEY)])
    assert mask.feed(b"data: hello\n\n") == b"data: hello\n\n"
    assert mask.feed(b"data: sk-01") == b"data: "
    assert mask.feed(b"x") == b"sk-01x"
    assert mask.flush() == b""


def test_without_a_secret_nothing_is_masked() -> None:
    assert StreamMask([]).feed(b"anything") == b"anything"
    assert not StreamMask([]).found_in("anything")
    assert StreamMask([Secret(KEY)]).found_in(f"Bearer {KEY}")
