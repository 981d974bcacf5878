"""Tokens of OpenID Connect issuers: found by discovery, followed through rotations, never trusted too far."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gitward.api.auth import Verifier
from gitward.api.authorization import admitted, parse_rules
from gitward.api.oidc import ASK_AGAIN_SECONDS, FRESH_SECONDS, STALE_SECONDS, Issuer, is_safe_url
from gitward.errors import Unauthenticated, Unavailable

URL = "https://id.example/realms/acme"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


class Provider:
    """An issuer behind a fake transport; it counts what it is asked."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {"one": RSA_KEY}
        self.issuer = URL
        self.down = False
        self.asked = 0
        self.now = 1000.0
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))
        self.verifier = Verifier(None, audience="gitward", issuers=[Issuer(URL, self.http, clock=lambda: self.now)])

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectError("down")
        if request.url.path.endswith("/openid-configuration"):
            return httpx.Response(200, json={"issuer": self.issuer, "jwks_uri": "https://id.example/keys"})
        self.asked += 1
        return httpx.Response(200, json={"keys": [_jwk(kid, key) for kid, key in self.keys.items()]})

    def token(self, kid: str = "one", algorithm: str = "RS256", key: Any = None, **claims: Any) -> str:
        now = int(time.time())
        body = {"iss": URL, "aud": "gitward", "sub": "alice", "iat": now, "exp": now + 60, **claims}
        return "Bearer " + jwt.encode(body, key or self.keys[kid], algorithm=algorithm, headers={"kid": kid})


def _jwk(kid: str, key: Any) -> dict[str, Any]:
    algorithm = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig"}


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    made = Provider()
    yield made
    await made.http.aclose()


async def test_a_token_of_the_issuer_proves_owner_and_claims(provider: Provider) -> None:
    provider.keys["two"] = EC_KEY
    for kid, algorithm in (("one", "RS256"), ("one", "PS256"), ("two", "ES256")):
        identity = await provider.verifier.identify(provider.token(kid, algorithm, groups=["platform"]))
        assert (identity.owner.issuer, identity.owner.subject) == (URL, "alice")
        assert identity.claims["groups"] == ["platform"]
    assert provider.asked == 1, "the keys are kept"


async def test_a_rotated_key_is_taken_at_once_and_made_up_ids_ask_seldom(provider: Provider) -> None:
    await provider.verifier.identify(provider.token())
    provider.keys = {"two": EC_KEY}
    provider.now += ASK_AGAIN_SECONDS + 1
    await provider.verifier.identify(provider.token("two", "ES256"))
    assert provider.asked == 2
    for _ in range(50):
        with pytest.raises(Unauthenticated, match="does not publish"):
            await provider.verifier.identify(provider.token("made-up", key=RSA_KEY))
    assert provider.asked == 2


async def test_keys_outlive_an_issuer_that_is_down_for_a_while_but_not_for_ever(provider: Provider) -> None:
    await provider.verifier.identify(provider.token())
    provider.down = True
    provider.now += FRESH_SECONDS + 1
    await provider.verifier.identify(provider.token())
    provider.now += STALE_SECONDS
    with pytest.raises(Unavailable, match="cannot be fetched"):
        await provider.verifier.identify(provider.token())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"iss": "https://evil.example"}, "issuer that is not trusted"),
        ({"iss": "gitward"}, "issuer that is not trusted"),
        ({"aud": "other"}, "another audience"),
        ({"exp": 1}, "expired"),
        ({"key": EC_KEY, "algorithm": "ES256"}, "algorithm that is not allowed"),
        ({"key": rsa.generate_private_key(public_exponent=65537, key_size=2048)}, "signed by another key"),
    ],
)
async def test_what_the_issuer_did_not_sign_for_us_is_refused(
    provider: Provider, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(Unauthenticated, match=sentence):
        await provider.verifier.identify(provider.token(**options))


async def test_the_public_key_is_no_hmac_secret(provider: Provider) -> None:
    pem = RSA_KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    real = provider.token().removeprefix("Bearer ").split(".")
    header = jwt.utils.base64url_encode(b'{"alg":"HS256","kid":"one"}').decode()
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(
        f"{header}.{real[1]}".encode(), pem
    )
    forged = f"{header}.{real[1]}.{jwt.utils.base64url_encode(signature).decode()}"
    with pytest.raises(Unauthenticated, match="algorithm that is not allowed"):
        await provider.verifier.identify(f"Bearer {forged}")


async def test_a_discovery_document_of_another_issuer_is_not_believed(provider: Provider) -> None:
    provider.issuer = "https://evil.example"
    with pytest.raises(Unavailable):
        await provider.verifier.identify(provider.token())


def test_only_https_or_this_machine() -> None:
    assert is_safe_url("https://id.example")
    assert is_safe_url("http://127.0.0.1:9000/realm")
    assert not is_safe_url("http://id.example")
    assert not is_safe_url("file:///etc/passwd")


def test_rules_match_claims_and_repositories() -> None:
    rules = parse_rules("groups=platform -> acme/*, other/x ; sub=repo:acme/ci:* -> acme/ci")
    assert admitted(rules, {"groups": ["dev", "platform"]}, "ACME/widgets")
    assert admitted(rules, {"groups": "platform"}, "other/x")
    assert not admitted(rules, {"groups": ["dev"]}, "acme/widgets")
    assert admitted(rules, {"sub": "repo:acme/ci:ref:refs/heads/main"}, "acme/ci")
    assert not admitted(rules, {"sub": "repo:acme/ci:x"}, "acme/widgets")
    assert not admitted(rules, {}, "acme/widgets")
    assert admitted((), {}, "any/thing")


@pytest.mark.parametrize("text", ["x", "groups=a", "-> a/b", "groups -> a/b", "=a -> a/b", "groups=a ->"])
def test_a_rule_without_its_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be CLAIM=VALUE"):
        parse_rules(text)
