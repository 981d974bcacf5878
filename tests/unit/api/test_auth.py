"""A request is its owner's by a valid JWT only; every other one is 401, with a sentence and without its token."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from api import AUDIENCE, Api, problem
from gitward.errors import Unauthenticated
from gitward.identity.oidc import Issuer
from gitward.identity.verifier import Verifier
from gitward.sessions.model import Owner

KEY = Ed25519PrivateKey.generate()
VERIFIER = Verifier(KEY.public_key(), audience=AUDIENCE)


def owner_of(header: str | None) -> Owner:
    return asyncio.run(VERIFIER.identify(header)).owner


PUBLIC_PEM = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def claims(**changed: Any) -> dict[str, Any]:
    """Valid ones, but for what is changed; a claim that is changed to None is left out."""
    at = int(time.time())
    valid = {"iss": "gitward", "sub": "alice", "aud": AUDIENCE, "iat": at, "nbf": at, "exp": at + 7200, **changed}
    return {name: value for name, value in valid.items() if value is not None}


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def forged(header: dict[str, Any], sign: Callable[[bytes], bytes], **changed: Any) -> str:
    """A token made by hand: also one that no library would make."""
    content = f"{part(header)}.{part(claims(**changed))}"
    return f"{content}.{base64.urlsafe_b64encode(sign(content.encode())).decode().rstrip('=')}"


def signed(**changed: Any) -> str:
    return forged({"alg": "EdDSA", "typ": "JWT"}, KEY.sign, **changed)


def hs256(key: bytes) -> str:
    return forged({"alg": "HS256", "typ": "JWT"}, lambda content: hmac.digest(key, content, hashlib.sha256))


def other_keys() -> dict[str, str]:
    return {
        "another Ed25519 key": jwt.encode(claims(), Ed25519PrivateKey.generate(), algorithm="EdDSA"),
        "ES256": jwt.encode(claims(), ec.generate_private_key(ec.SECP256R1()), algorithm="ES256"),
        "RS256": jwt.encode(claims(), rsa.generate_private_key(65537, 2048), algorithm="RS256"),
    }


now = int(time.time())
TWO_LINES = "a\nb"
REFUSED: list[tuple[str, str | None, str]] = [
    ("none", None, "A bearer token is required"),
    ("empty", "", "A bearer token is required"),
    ("no token", "Bearer", "A bearer token is required"),
    ("blank token", "Bearer   ", "A bearer token is required"),
    ("another scheme", f"Basic {signed()}", "A bearer token is required"),
    ("without a scheme", signed(), "A bearer token is required"),
    ("garbage", "Bearer garbage", "not a readable JWT"),
    ("dots", "Bearer ...", "not a readable JWT"),
    ("cut short", f"Bearer {signed()[:-10]}", "The token"),
    ("with more behind it", f"Bearer {signed()} more", "not a readable JWT"),
    ("header is a list", f"Bearer {part([])}.{part({})}.x", "not a readable JWT"),
    ("header is deep", f"Bearer {base64.urlsafe_b64encode(b'[' * 5000).decode()}.{part({})}.x", "not a readable JWT"),
    ("payload is a list", f"Bearer {part({'alg': 'EdDSA'})}.{part([])}.x", "The token"),
    ("alg is a list", f"Bearer {forged({'alg': ['EdDSA']}, KEY.sign)}", "The token"),
    ("no alg", f"Bearer {forged({}, KEY.sign)}", "The token"),
    ("kid is a list", f"Bearer {forged({'alg': 'EdDSA', 'kid': []}, KEY.sign)}", "The token"),
    ("critical unknown", f"Bearer {forged({'alg': 'EdDSA', 'crit': ['x'], 'x': 1}, KEY.sign)}", "The token"),
    ("expired", f"Bearer {signed(exp=now - 120)}", "The token has expired."),
    ("not yet valid", f"Bearer {signed(nbf=now + 3600)}", "The token is not valid yet."),
    ("from the future", f"Bearer {signed(iat=now + 3600)}", "The token is not valid yet."),
    ("another audience", f"Bearer {signed(aud='other')}", "The token is for another audience."),
    ("another issuer", f"Bearer {signed(iss='https://x.example')}", "does not trust the token's issuer"),
    ("unsigned", f"Bearer {forged({'alg': 'none'}, lambda _: b'')}", "unsigned, or its signature algorithm"),
    ("unsigned, in capitals", f"Bearer {forged({'alg': 'NONE'}, lambda _: b'')}", "unsigned, or its signature"),
    ("unsigned but says EdDSA", f"Bearer {forged({'alg': 'EdDSA'}, lambda _: b'')}", "signed by another key"),
    ("HS256 with the public key", f"Bearer {hs256(PUBLIC_PEM)}", "unsigned, or its signature algorithm"),
    ("HS256 with nothing", f"Bearer {hs256(b'')}", "unsigned, or its signature algorithm"),
    *((name, f"Bearer {token}", "The token is") for name, token in other_keys().items()),
    *(
        (f"without {name}", f"Bearer {signed(**{name: None})}", f"The token lacks the claim `{name}`; it must have exp")
        for name in ("exp", "iat", "sub", "aud", "iss")
    ),
    *(
        (
            f"subject is {kind}",
            f"Bearer {signed(sub=value)}",
            f"The token's subject (`sub`) is {kind}; it must be a str",
        )
        for value, kind in ((1, "a number"), (0.5, "a number"), (True, "a boolean"), ([], "a list"), ({}, "an object"))
    ),
    ("subject is empty", f"Bearer {signed(sub='')}", "it must be a string of 1 to 255 printable characters"),
    ("subject is long", f"Bearer {signed(sub='x' * 256)}", "it must be a string of 1 to 255 printable characters"),
    ("subject has a line break", f"Bearer {signed(sub=TWO_LINES)}", "it must be a string of 1 to 255 printable"),
    *(
        (f"{name} is {value}", f"Bearer {signed(**{name: value})}", f"The token's `{name}` must be a number of seconds")
        for name, value in (("exp", "soon"), ("exp", float("inf")), ("nbf", "soon"), ("iat", "soon"), ("iat", []))
    ),
    ("expiry is far away", f"Bearer {signed(exp=10**400)}", "The token's `exp` must be a number of seconds"),
    ("id is a number", f"Bearer {signed(jti=1)}", "The token's `jti` must be a string."),
]


@pytest.mark.parametrize(("header", "sentence"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_is_no_valid_token_is_refused_with_a_sentence(header: str | None, sentence: str) -> None:
    with pytest.raises(Unauthenticated, match=re.escape(sentence)) as raised:
        owner_of(header)
    token = (header or "").partition(" ")[2].strip()
    assert not token or token not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("form", "claims"),
    [
        ("Bearer {}", {}),
        ("bearer {}", {}),
        ("BEARER  {} ", {}),
        ("Bearer {}", {"aud": ["x", AUDIENCE]}),
    ],
)
def test_a_valid_token_proves_its_owner(form: str, claims: dict[str, Any]) -> None:
    assert owner_of(form.format(signed(**claims))) == Owner(issuer="gitward", subject="alice")


@pytest.mark.parametrize(("claim", "offset"), [("exp", -30), ("nbf", 30)])
def test_clocks_may_differ_a_little(claim: str, offset: int) -> None:
    """Within the leeway of 60 s; the token is made when the test runs, not when it is collected."""
    assert owner_of(f"Bearer {signed(**{claim: int(time.time()) + offset})}").subject == "alice"


def test_what_a_caller_shall_send_is_true_also_where_issuers_make_the_tokens() -> None:
    """`gitward token` makes none then."""
    with pytest.raises(Unauthenticated, match="`gitward token --subject <name>` mints one"):
        owner_of(None)
    issuer = Issuer("https://id.example", httpx2.AsyncClient())
    for header in (None, "Bearer garbage"):
        with pytest.raises(Unauthenticated, match="with a token of an issuer that this server trusts") as raised:
            asyncio.run(Verifier(None, audience=AUDIENCE, issuers=[issuer]).identify(header))
        assert "gitward token" not in str(raised.value)


@given(header=st.text() | st.text().map(lambda text: f"Bearer {text}"))
def test_no_text_is_an_unexpected_error(header: str) -> None:
    with pytest.raises(Unauthenticated):
        owner_of(header)


@given(
    header=st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "b64", "crit", "jwk"]), st.text() | st.lists(st.text())
    )
)
def test_no_header_of_a_token_is_an_unexpected_error(header: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        owner_of(f"Bearer {forged(header, lambda _: b'x' * 64)}")


class TestOverHttp:
    async def test_the_refusal_is_a_problem_document_with_its_challenge(self, stranger: httpx2.AsyncClient) -> None:
        answer = await stranger.get("/sessions", headers={"Authorization": "Bearer secret-garbage"})
        detail = problem(answer, 401, "unauthenticated")["detail"]
        challenge = answer.headers["www-authenticate"]
        assert challenge.startswith('Bearer realm="gitward", error="invalid_token", error_description="')
        assert challenge.endswith(f'{detail}"')
        assert "secret-garbage" not in answer.text + str(answer.headers)

    async def test_two_tokens_are_none(self, api: Api, alice: Owner, bob: Owner, stranger: httpx2.AsyncClient) -> None:
        headers = [("Authorization", f"Bearer {api.jwt(owner)}") for owner in (alice, bob)]
        detail = problem(await stranger.get("/sessions", headers=headers), 401, "unauthenticated")["detail"]
        assert detail == "The request has several Authorization headers; send one."

    async def test_a_token_in_the_address_or_a_cookie_is_none(
        self, api: Api, alice: Owner, stranger: httpx2.AsyncClient
    ) -> None:
        token = api.jwt(alice)
        problem(await stranger.get("/sessions", params={"access_token": token}), 401, "unauthenticated")
        problem(await stranger.get("/sessions", headers={"Cookie": f"jwt={token}"}), 401, "unauthenticated")

    @pytest.mark.parametrize(
        "path",
        [
            "/",
            "/nothing",
            "/sessions/",
            "//health",
            "/health/",
            "/HEALTH",
            "/docs/x",
            "/metrics/",
            "/redoc",
        ],
    )
    async def test_whatever_is_not_open_needs_a_token_also_where_nothing_is(
        self, stranger: httpx2.AsyncClient, http: httpx2.AsyncClient, path: str
    ) -> None:
        problem(await stranger.get(path), 401, "unauthenticated")
        problem(await http.get(path), 404, "not_found")

    @pytest.mark.parametrize("method", ["OPTIONS", "HEAD", "PUT", "TRACE", "BREW"])
    async def test_other_methods_need_a_token_too(
        self, stranger: httpx2.AsyncClient, http: httpx2.AsyncClient, method: str
    ) -> None:
        assert (await stranger.request(method, "/sessions")).status_code == 401
        assert (await http.request(method, "/sessions")).status_code == 405

    @pytest.mark.parametrize("path", ["/health", "/ready", "/docs", "/openapi.json"])
    async def test_what_is_open_needs_none_and_minds_none(self, stranger: httpx2.AsyncClient, path: str) -> None:
        assert (await stranger.get(path)).status_code == 200
        assert (await stranger.get(path, headers={"Authorization": "Bearer garbage"})).status_code == 200

    async def test_the_body_of_a_stranger_is_not_looked_at(self, stranger: httpx2.AsyncClient) -> None:
        problem(await stranger.post("/sessions", content=b"x" * 2_000_000), 401, "unauthenticated")

    async def test_a_web_socket_is_closed(self, api: Api) -> None:
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await api.app({"type": "websocket", "path": "/sessions", "headers": []}, receive, send)
        assert sent == [{"type": "websocket.close", "code": 1008}]
