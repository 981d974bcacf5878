"""A body is a sane JSON document, or it is refused before anything looks at its values."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api import Api, expiry_of, past, problem
from gitward.api.request_gate import MAX_BODY, MAX_DEPTH, MAX_VALUES, RequestGate
from gitward.identity.verifier import LEEWAY_SECONDS
from gitward.sessions.model import Owner

GOOD = b'{"repo":"owner/repo","target_branch":"main"}'

HOSTILE: list[tuple[str, bytes]] = [
    ("no JSON", b"repo=owner/repo"),
    ("cut off", b'{"repo":"owner/repo"'),
    ("two documents", GOOD + GOOD),
    ("single quotes", b"{'repo':'owner/repo'}"),
    ("trailing comma", b'{"repo":"owner/repo",}'),
    ("comment", b'{"repo":"owner/repo"} // x'),
    ("deep arrays", b"[" * 100_000),
    ("deep arrays, closed", b"[" * 100_000 + b"]" * 100_000),
    ("deep objects", b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    ("deep beside good values", b'{"repo":"owner/repo","x":' + b"[" * 900 + b"]" * 900 + b"}"),
    ("a name twice", b'{"repo":"owner/repo","repo":"owner/other"}'),
    ("a name twice, further down", b'{"repo":"owner/repo","env":{"A":"1","A":"2"}}'),
    ("a name twice, spelled differently", b'{"repo":"owner/repo","\\u0072epo":"owner/other"}'),
    ("NaN", b'{"repo":"owner/repo","timeout_seconds":NaN}'),
    ("Infinity", b'{"repo":"owner/repo","timeout_seconds":-Infinity}'),
    ("endless number", b'{"repo":"owner/repo","timeout_seconds":' + b"9" * 10_000 + b"}"),
    ("lone surrogate", b'{"repo":"owner/repo","title":"\\ud800"}'),
    ("lone surrogate in a name", b'{"repo":"owner/repo","\\udfff":1}'),
    ("NUL", b'{"repo":"owner/repo"}\0'),
    ("raw control character", b'{"repo":"owner/repo","title":"a\nb"}'),
    ("no UTF-8", b'{"repo":"owner/repo","title":"\xff"}'),
    ("overlong UTF-8", b'{"repo":"owner\xc0\xafrepo"}'),
    ("surrogate in UTF-8", b'{"repo":"owner/repo","title":"\xed\xa0\x80"}'),
    ("UTF-16", GOOD.decode().encode("utf-16")),
    ("UTF-16 without its mark", GOOD.decode().encode("utf-16-le")),
    ("UTF-32", GOOD.decode().encode("utf-32")),
    ("gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00"),
]


@pytest.mark.parametrize("body", [case[1] for case in HOSTILE], ids=[case[0] for case in HOSTILE])
async def test_a_hostile_body_is_refused_in_a_sentence(http: httpx2.AsyncClient, body: bytes) -> None:
    document = problem(await http.post("/sessions", content=body), 422, "invalid_request")
    assert document["detail"].startswith("The body ")
    assert document["errors"] == []


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "application/x-www-form-urlencoded",
        "text/plain",
        "multipart/form-data",
        "application/json; charset=utf-16",
    ],
)
async def test_the_user_s_own_curl_line_works_whatever_its_content_type(
    http: httpx2.AsyncClient, content_type: str | None
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    answer = await http.post("/sessions", content=GOOD, headers=headers)
    assert answer.status_code == 201
    assert (answer.json()["repo"], answer.json()["target_branch"]) == ("owner/repo", "main")


async def test_a_byte_order_mark_is_let_pass(http: httpx2.AsyncClient) -> None:
    """Windows tools write one."""
    assert (await http.post("/sessions", content=b"\xef\xbb\xbf" + GOOD)).status_code == 201


@pytest.mark.parametrize("body", [b"[]", b'"owner/repo"', b"null", b"1", b"[{}]"])
async def test_json_that_is_no_object_is_refused_by_its_shape(http: httpx2.AsyncClient, body: bytes) -> None:
    document = problem(await http.post("/sessions", content=body), 422, "invalid_request")
    assert [error["field"] for error in document["errors"]] == ["body"]


async def test_no_body_is_told(http: httpx2.AsyncClient) -> None:
    document = problem(await http.post("/sessions"), 422, "invalid_request")
    assert [error["field"] for error in document["errors"]] == ["body"]


async def test_the_deepest_that_is_let_pass_is_let_pass(http: httpx2.AsyncClient) -> None:
    """Its shape is then wrong, which another check says."""
    for depth, detail in ((MAX_DEPTH, "The request has values"), (MAX_DEPTH + 1, "The body is nested deeper than 32")):
        document = problem(await http.post("/sessions", content=b"[" * depth + b"]" * depth), 422, "invalid_request")
        assert document["detail"].startswith(detail)


async def test_a_body_with_more_values_than_any_needs_is_refused(http: httpx2.AsyncClient) -> None:
    """What follows takes time for each. A thousand labels are still told by their own limit."""
    for count, detail in ((MAX_VALUES - 3, "The request has values"), (MAX_VALUES, "The body has more than 5000")):
        body = {"repo": "owner/repo", "labels": ["x"] * count}
        document = problem(await http.post("/sessions", json=body), 422, "invalid_request")
        assert document["detail"].startswith(detail)


async def test_a_body_that_is_too_large_is_not_read_to_its_end(api: Api, alice: Owner) -> None:
    pieces = 0

    async def receive() -> dict[str, Any]:
        nonlocal pieces
        pieces += 1
        return {"type": "http.request", "body": b" " * 65_536, "more_body": True}

    sent = await call(api, alice, receive)
    assert sent["status"] == 413
    assert sent["body"]["code"] == "too_large"
    assert pieces == MAX_BODY // 65_536 + 1


async def test_the_largest_body_is_let_pass(http: httpx2.AsyncClient) -> None:
    assert (await http.post("/sessions", content=GOOD.ljust(MAX_BODY))).status_code == 201
    assert (await http.post("/sessions", content=GOOD.ljust(MAX_BODY + 1))).status_code == 413


async def test_a_body_that_does_not_come_is_not_waited_for(api: Api, alice: Owner) -> None:
    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    impatient = RequestGate(api.app, verifier=api.services.verifier, body_seconds=0.01)
    sent = await call(api, alice, receive, app=impatient)
    assert (sent["status"], sent["body"]["detail"]) == (422, "The body did not arrive within 0.01 s.")


async def test_a_body_that_outlives_its_token_is_refused(api: Api, alice: Owner) -> None:
    """The leeway included. The token is good when the request comes."""
    token = api.jwt(alice, timedelta(seconds=1 - LEEWAY_SECONDS))

    async def receive() -> dict[str, Any]:
        await past(expiry_of(token) + LEEWAY_SECONDS)
        return {"type": "http.request", "body": GOOD, "more_body": False}

    sent = await call(api, alice, receive, token=token)
    assert (sent["status"], sent["body"]["detail"]) == (401, "The token has expired.")


async def test_a_client_that_goes_away_ends_the_request(api: Api, alice: Owner) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    assert (await call(api, alice, receive))["status"] == 503


async def call(api: Api, owner: Owner, receive: Any, *, app: Any = None, token: str = "") -> dict[str, Any]:
    """POST /sessions with a body that comes as the test wants it."""
    messages: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/sessions",
        "raw_path": b"/sessions",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"authorization", f"Bearer {token or api.jwt(owner)}".encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    async with asyncio.timeout(20):
        await (app or api.app)(scope, receive, send)
    content = b"".join(message.get("body", b"") for message in messages)
    return {"status": messages[0]["status"], "body": json.loads(content)}


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["repo", "branch", "env", "publish", "labels", "command", "timeout_seconds", "mode", "title"]
            )
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(value=any_json)
async def test_no_json_is_an_unexpected_error(http: httpx2.AsyncClient, value: object) -> None:
    answer = await http.post("/sessions", content=json.dumps(value).encode())
    if answer.status_code != 201:
        problem(answer, 422, "invalid_request")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(body=st.binary(max_size=200))
async def test_no_bytes_are_an_unexpected_error(http: httpx2.AsyncClient, body: bytes) -> None:
    problem(await http.post("/sessions", content=body), 422, "invalid_request")
