"""What an issuer, or somebody in its name, sends back is checked before anybody is signed in."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import jwt
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from browser import BASE, browser, link_of, pages_of
from fake_issuer import CLIENT, KEY, URL, FakeIssuer
from gitward.identity.code_flow import AT_ONCE
from gitward.identity.sign_ins import new_secret
from gitward.sessions.model import now
from gitward.store import schema
from gitward.store.database import Database
from gitward.web.signing_in import SigningIn, attempts
from gitward.web.signing_in.hosts import Hosts

OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC_PEM = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
async def fake(request: pytest.FixtureRequest) -> AsyncIterator[FakeIssuer]:
    made = FakeIssuer(claims=("groups",), answer_seconds=getattr(request, "param", 10.0))
    yield made
    await made.stop()


@pytest.fixture
async def http(database: Database, fake: FakeIssuer) -> AsyncIterator[httpx2.AsyncClient]:
    signing_in = SigningIn(database, hosts=Hosts(BASE), flow=fake.flow, is_local=False)
    async with browser(pages_of(signing_in)) as client:
        yield client
    await signing_in.stop()


async def come_back(fake: FakeIssuer, http: httpx2.AsyncClient, **parameters: str) -> httpx2.Response:
    start = await http.get("/sign-in/start")
    state = fake.seen(start.headers["location"])
    return await http.get("/sign-in/callback", params={"state": state, "code": "c", **parameters})


async def test_the_question_has_all_that_binds_the_answer(fake: FakeIssuer, http: httpx2.AsyncClient) -> None:
    where = httpx2.URL((await http.get("/sign-in/start")).headers["location"])
    asked = dict(where.params)
    assert (where.host, where.path, asked["tenant"]) == ("id.example", "/authorize", "a")
    assert (asked["response_type"], asked["client_id"], asked["scope"]) == ("code", CLIENT, "openid")
    assert asked["redirect_uri"] == f"{BASE}/sign-in/callback"
    assert (asked["code_challenge_method"], len(asked["code_challenge"])) == ("S256", 43)
    assert asked["nonce"] != asked["state"]
    again = dict(httpx2.URL((await http.get("/sign-in/start")).headers["location"]).params)
    assert not {asked[name] for name in ("state", "nonce", "code_challenge")} & set(again.values())


async def test_a_good_answer_signs_in(fake: FakeIssuer, http: httpx2.AsyncClient) -> None:
    fake.userinfo = {"groups": ["dev"], "name": "Alice", "iss": "https://evil.example"}
    answer = await come_back(fake, http, iss=URL)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert (await http.get("/")).json()["name"] == "Alice"
    assert (await http.get("/")).json()["issuer"] == URL
    token = next(request for request in fake.asked if request.url.path == "/token")
    assert token.headers["authorization"] == "Basic " + base64.b64encode(b"gitward-web:a+client%27s+secret").decode()
    assert b"client_secret" not in token.content


@pytest.mark.parametrize("methods", [["client_secret_post"], ["client_secret_basic", "client_secret_post"]])
async def test_a_client_proves_itself_in_the_form_where_the_issuer_says_so(
    fake: FakeIssuer, http: httpx2.AsyncClient, methods: list[str]
) -> None:
    """Issuers disagree about how special characters stand in a header."""
    fake.description["token_endpoint_auth_methods_supported"] = methods
    assert (await come_back(fake, http)).status_code == 303
    assert b"client_secret=a+client%27s+secret" in fake.asked[0].content
    assert "authorization" not in fake.asked[0].headers


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"}, {"nonce": None}, {"nonce": 7}, {"aud": "another"}, {"aud": ["another"]},
        {"aud": [CLIENT, "another"], "azp": "another"}, {"iss": "https://evil.example"}, {"iss": None},
        {"sub": ""}, {"sub": None}, {"sub": "a\nb"}, {"sub": "x" * 300}, {"exp": int(time.time()) - 600},
        {"iat": int(time.time()) + 600}, {"exp": "never"}, {"groups": ["g" * 1000] * 100},
    ],
)  # fmt: skip
async def test_a_token_for_somebody_else_signs_nobody_in(
    fake: FakeIssuer, http: httpx2.AsyncClient, claims: dict[str, Any]
) -> None:
    fake.id_claims = claims
    answer = await come_back(fake, http)
    assert (answer.status_code, "gitward" in http.cookies) == (403, False), answer.text
    assert "a\nb" not in answer.text


@pytest.mark.parametrize("seconds", [-45, 45])
async def test_clocks_may_differ_by_less_than_a_minute(
    fake: FakeIssuer, http: httpx2.AsyncClient, seconds: int
) -> None:
    """A token that an issuer with a slow clock gave does not end before the first page."""
    now_ = int(time.time()) + seconds
    fake.id_claims = {"iat": now_, "nbf": now_, "exp": now_ + 10}
    assert (await come_back(fake, http)).status_code == 303
    assert (await http.get("/")).status_code == 200


async def test_many_groups_fit(fake: FakeIssuer, http: httpx2.AsyncClient) -> None:
    """The cookie does not grow with them, so no browser drops it."""
    fake.userinfo = {"groups": [f"/departments/engineering/team-{number:04}" for number in range(1000)]}
    assert (await come_back(fake, http)).status_code == 303
    assert (await http.get("/")).status_code == 200
    assert len(http.cookies["gitward"]) == 43


async def test_a_person_without_groups_is_a_user(fake: FakeIssuer, http: httpx2.AsyncClient) -> None:
    assert (await come_back(fake, http)).status_code == 303
    assert (await http.get("/")).json()["operator"] is False


@pytest.mark.parametrize(
    "token",
    [
        lambda claims: jwt.encode(claims, OTHER_KEY, "RS256", headers={"kid": "one"}),
        lambda claims: jwt.encode(claims, OTHER_KEY, "RS256", headers={"kid": "two"}),
        lambda claims: jwt.encode(claims, KEY, "RS256"),
        lambda claims: jwt.encode(claims, "", "none", headers={"kid": "one"}),
        lambda claims: jwt.encode(claims, b"x" * 64, "HS256", headers={"kid": "one"}),
        lambda claims: "not.a.token",
        lambda claims: "é",
        lambda claims: "",
    ],
)
async def test_a_token_of_another_key_signs_nobody_in(
    fake: FakeIssuer, http: httpx2.AsyncClient, token: Callable[[Any], str]
) -> None:
    fake.id_token = token
    answer = await come_back(fake, http)
    assert (answer.status_code, "gitward" in http.cookies) == (403, False), answer.text


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (lambda _: httpx2.Response(200, text="<html>maintenance"), 503),
        (lambda _: httpx2.Response(200, json=[]), 503),
        (lambda _: httpx2.Response(200, json={"padding": "x" * 700_000}), 503),
        (lambda _: httpx2.Response(200, content=b"[" * 100_000), 503),
        (lambda _: httpx2.Response(200, json={}), 403),
        (lambda _: httpx2.Response(302, headers={"Location": "http://169.254.169.254/"}), 503),
        (lambda _: httpx2.Response(500, json={"error": "server_error"}), 503),
        (lambda _: httpx2.Response(429), 503),
        (lambda _: httpx2.Response(400, json={"error": "invalid_grant", "error_description": "<script>"}), 403),
        (lambda _: httpx2.Response(400, json={"error": "<script>alert(1)</script>"}), 403),
        (lambda _: httpx2.Response(400, json={"error": ["x"]}), 503),
    ],
)
async def test_an_issuer_that_answers_badly_signs_nobody_in(
    fake: FakeIssuer, http: httpx2.AsyncClient, answer: Any, status: int
) -> None:
    fake.token_answer = answer
    came = await come_back(fake, http)
    assert (came.status_code, "gitward" in http.cookies) == (status, False), came.text
    assert "<script" not in came.text
    assert all(request.url.host == "id.example" for request in fake.asked)


@pytest.mark.parametrize("fake", [0.05], indirect=True)
async def test_an_issuer_that_hangs_is_waited_for_within_limits(fake: FakeIssuer, http: httpx2.AsyncClient) -> None:
    fake.hangs.set()
    async with asyncio.timeout(10):
        came = await come_back(fake, http)
    assert (came.status_code, came.headers["retry-after"]) == (503, "1")


async def test_userinfo_of_somebody_else_signs_nobody_in(fake: FakeIssuer, http: httpx2.AsyncClient) -> None:
    fake.userinfo = {"sub": "root", "groups": ["ops"]}
    assert (await come_back(fake, http)).status_code == 403


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("authorization_endpoint", "javascript:alert(1)"), ("authorization_endpoint", "http://evil.example/"),
        ("authorization_endpoint", None), ("authorization_endpoint", "https://a.example/\nX: y"),
        ("authorization_endpoint", "https://a.example/é"), ("authorization_endpoint", "//evil.example/"),
    ],
)  # fmt: skip
async def test_browsers_are_sent_to_https_addresses_only(
    fake: FakeIssuer, http: httpx2.AsyncClient, name: str, value: object
) -> None:
    fake.description[name] = value
    answer = await http.get("/sign-in/start")
    assert (answer.status_code, "location" in answer.headers) == (403, False)


async def test_the_secret_goes_to_https_addresses_only(fake: FakeIssuer, http: httpx2.AsyncClient) -> None:
    fake.description["token_endpoint"] = "http://evil.example/token"
    assert (await come_back(fake, http)).status_code == 403
    assert fake.asked == []


@pytest.mark.parametrize("parameters", [{"iss": "https://evil.example"}, {"iss": ""}, {}])
async def test_the_answer_of_another_issuer_is_refused(
    fake: FakeIssuer, http: httpx2.AsyncClient, parameters: dict[str, str]
) -> None:
    """Mix-up: it would be given the code of the right one."""
    fake.description["authorization_response_iss_parameter_supported"] = True
    assert (await come_back(fake, http, **parameters)).status_code == 403
    assert fake.asked == []


@pytest.mark.parametrize(
    "query",
    [
        "", "code=c", "state=x&code=c", "state=&code=c", "state=%00&code=c", "state=" + "x" * 8000 + "&code=c",
        "state=a&state=b&code=c", "code=c&code=d&state=x", "error=access_denied&error_description=<script>&state=x",
        "state=W10.x&code=c", "state=%F0%9F%98%80&code=c",
    ],
)  # fmt: skip
async def test_an_answer_without_its_state_is_refused(fake: FakeIssuer, http: httpx2.AsyncClient, query: str) -> None:
    for _ in range(2):  # without and with the cookie of an attempt
        answer = await http.get(f"/sign-in/callback?{query}")
        assert answer.status_code == 400
        assert "<script" not in answer.text
        await http.get("/sign-in/start")
    assert fake.asked == []
    assert "gitward" not in http.cookies


async def test_a_person_who_says_no_is_told_so(fake: FakeIssuer, http: httpx2.AsyncClient) -> None:
    start = await http.get("/sign-in/start")
    state = fake.seen(start.headers["location"])
    for error, shown in (
        ("access_denied", "access_denied"),
        ("<script>", "without a reason"),
        ("", "without a reason"),
    ):
        parameters = {"state": state, "error": error, "error_description": "<script>"}
        answer = await http.get("/sign-in/callback", params=parameters)
        assert (answer.status_code, shown in answer.text, "<script" in answer.text) == (403, True, False)


async def test_a_state_leads_to_paths_of_ours_only(fake: FakeIssuer, http: httpx2.AsyncClient) -> None:
    start = await http.get("/sign-in/start", params={"next": "//evil.example"})
    state = fake.seen(start.headers["location"])
    answer = await http.get("/sign-in/callback", params={"state": state, "code": "c"})
    assert answer.headers["location"] == "/"


def test_a_state_is_bound_to_its_cookie_and_its_time() -> None:
    secret = new_secret()
    attempt = attempts.begin(secret, "/new")
    assert attempts.resume(secret, attempt.state) == (attempt, "/new")
    assert attempts.resume(new_secret(), attempt.state) is None
    assert attempts.resume(secret, attempt.state, at=time.time() + 1801) is None
    payload, _, mac = attempt.state.partition(".")
    for forged in (payload, f"{payload}.", f"{payload[:-1]}.{mac}", f".{mac}", f"{payload}.{mac}."):
        assert attempts.resume(secret, forged) is None


async def test_going_back_in_the_history_is_no_failure(fake: FakeIssuer, http: httpx2.AsyncClient) -> None:
    await come_back(fake, http)
    http.cookies.delete("gitward-attempt")
    answer = await http.get("/sign-in/callback", params={"state": "old", "code": "c"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_a_silent_issuer_does_not_end_a_sign_in(
    database: Database, fake: FakeIssuer, http: httpx2.AsyncClient
) -> None:
    fake.token_extra = {"refresh_token": "refresh-1"}
    await come_back(fake, http)
    fake.token_answer = lambda _: httpx2.Response(502)
    expire = sa.update(schema.sign_ins).values(expires_at=now(), renewing_until=None)
    await database.write(lambda tx: tx.execute(expire).rowcount)
    assert (await http.get("/")).status_code == 503
    fake.token_answer = None
    free = sa.update(schema.sign_ins).values(renewing_until=None)
    await database.write(lambda tx: tx.execute(free).rowcount)
    assert (await http.get("/")).status_code == 200


async def test_a_renewal_for_somebody_else_ends_the_sign_in(
    database: Database, fake: FakeIssuer, http: httpx2.AsyncClient
) -> None:
    fake.token_extra = {"refresh_token": "refresh-1"}
    await come_back(fake, http)
    fake.id_claims = fake.userinfo = {"sub": "root"}
    expire = sa.update(schema.sign_ins).values(expires_at=now())
    await database.write(lambda tx: tx.execute(expire).rowcount)
    assert (await http.get("/")).status_code == 303
    fake.id_claims = fake.userinfo = {}
    assert (await http.get("/")).status_code == 303


async def test_with_an_issuer_no_link_signs_in(database: Database, http: httpx2.AsyncClient) -> None:
    link = await link_of(database)
    assert link not in (await http.get("/sign-in", params={"link": link})).text
    assert (await http.post("/sign-in", data={"link": link})).status_code == 403


async def test_sign_ins_of_an_issuer_that_is_trusted_no_more_do_not_count(
    database: Database, fake: FakeIssuer, http: httpx2.AsyncClient
) -> None:
    await come_back(fake, http)
    async with browser(pages_of(SigningIn(database, hosts=Hosts(BASE)))) as later:
        later.cookies.update(http.cookies)
        assert (await later.get("/")).status_code == 303


async def test_strangers_fill_no_table(database: Database, fake: FakeIssuer, http: httpx2.AsyncClient) -> None:
    await asyncio.gather(*(http.get("/sign-in/start") for _ in range(50)))
    for table in (schema.sign_ins, schema.sign_in_links):
        count = sa.select(sa.func.count()).select_from(table)
        assert await database.read(lambda tx, count=count: tx.execute(count).scalar_one()) == 0  # type: ignore[misc]  # bound now


@pytest.mark.parametrize("fake", [0.3], indirect=True)
async def test_strangers_cannot_send_a_flood_to_the_issuer(
    fake: FakeIssuer, http: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever makes up a cookie and its state makes us ask."""
    await http.get("/sign-in/start")
    fake.hangs.set()

    async def come(number: int) -> int:
        secret = new_secret()
        state = attempts.begin(secret, "/").state
        cookie = {"Cookie": f"gitward-attempt={secret}"}
        parameters = {"state": state, "code": str(number)}
        return (await http.get("/sign-in/callback", params=parameters, headers=cookie)).status_code

    assert set(await asyncio.gather(*(come(number) for number in range(60)))) == {503}
    assert 1 <= fake.most_hanging <= AT_ONCE
    assert len([record for record in caplog.records if "does not answer" in record.getMessage()]) == 1
