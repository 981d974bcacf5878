"""Tokens of OpenID Connect issuers: found by discovery, followed through rotations, never trusted too far."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.exceptions import InvalidJTIError, InvalidSubjectError

from api import make_api, problem
from gitward.api.app import create_app
from gitward.cli.wiring import running_service
from gitward.errors import SettingsError, Unauthenticated, Unavailable
from gitward.identity.authorization import admitted, parse_operators, parse_rules, relevant_claims
from gitward.identity.oidc import FRESH_SECONDS, MAX_DOCUMENT, STALE_SECONDS, Issuer, is_safe_url
from gitward.identity.verifier import Verifier
from gitward.settings.loading import load_settings
from gitward.settings.token_reader import TokenReader
from tests_support import Backend

URL = "https://id.example/realms/acme"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


class Provider:
    """An issuer behind a fake transport; it counts what it is asked."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {"one": RSA_KEY}
        self.bad_keys: list[Any] = []  # published before the good ones
        self.issuer = URL
        self.jwks_uri = "https://id.example/keys"
        self.fault: Exception | httpx2.Response | None = None
        self.answers = asyncio.Event()  # while it is not set, questions hang
        self.answers.set()
        self.came = asyncio.Event()  # a question
        self.asked = self.at_once = self.most_at_once = 0
        self.paths: list[str] = []  # that were asked for
        self.now = 1000.0
        self.http = httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer))
        self.one = self.made()
        self.verifier = Verifier(None, audience="gitward", issuers=[self.one])

    def made(self, **options: Any) -> Issuer:
        quick = {"ask_again_seconds": 0.01, "wait_seconds": 20.0, **options}
        return Issuer(URL, self.http, clock=lambda: self.now, **quick)

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            keys = [_jwk(kid, key) for kid, key in self.keys.items()]
            self.paths.append(request.url.path)
            self.came.set()
            await self.answers.wait()
            if isinstance(self.fault, Exception):
                raise self.fault
            if self.fault is not None:
                return self.fault
            if request.url.path.endswith("/openid-configuration"):
                return httpx2.Response(200, json={"issuer": self.issuer, "jwks_uri": self.jwks_uri})
            self.asked += 1
            return httpx2.Response(200, json={"keys": [*self.bad_keys, *keys]})
        finally:
            self.at_once -= 1

    def token(self, kid: str = "one", algorithm: str = "RS256", key: Any = None, **claims: Any) -> str:
        now = int(time.time())
        body = {"iss": URL, "aud": "gitward", "sub": "alice", "iat": now, "exp": now + 60, **claims}
        return "Bearer " + jwt.encode(body, key or self.keys[kid], algorithm=algorithm, headers={"kid": kid})

    async def settle(self) -> None:
        """Until the question under way is over."""
        while self.one.is_asking:
            await asyncio.sleep(0)


def _jwk(kid: str, key: Any) -> dict[str, Any]:
    algorithm = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig"}


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    made = Provider()
    async with asyncio.timeout(60):
        yield made
    await made.one.stop()
    await made.http.aclose()


async def test_a_token_of_the_issuer_proves_owner_and_claims(provider: Provider) -> None:
    provider.keys["two"] = EC_KEY
    for kid, algorithm in (("one", "RS256"), ("one", "PS256"), ("two", "ES256")):
        identity = await provider.verifier.identify(provider.token(kid, algorithm, groups=["platform"]))
        assert (identity.owner.issuer, identity.owner.subject) == (URL, "alice")
        assert identity.claims["groups"] == ["platform"]
    assert provider.asked == 1, "the keys are kept"


async def test_a_rotated_key_is_taken_at_once(provider: Provider) -> None:
    """Also right after the last question, and while strangers make up key ids."""
    await provider.verifier.identify(provider.token())
    for number in range(3):
        kid = f"two-{number}"
        provider.keys = {kid: EC_KEY}
        await asyncio.gather(*(made_up(provider) for _ in range(20)), known(provider, kid), known(provider, kid))


async def known(provider: Provider, kid: str) -> None:
    await provider.verifier.identify(provider.token(kid, "ES256"))


async def made_up(provider: Provider) -> None:
    with pytest.raises(Unauthenticated, match="does not publish"):
        await provider.verifier.identify(provider.token("made-up", key=RSA_KEY))


async def test_made_up_ids_are_asked_for_together_one_question_at_a_time(provider: Provider) -> None:
    await provider.verifier.identify(provider.token())
    await asyncio.gather(*(made_up(provider) for _ in range(100)))
    assert (provider.asked, provider.most_at_once) == (2, 1)


async def test_questions_begin_no_closer_to_each_other_than_they_may(provider: Provider) -> None:
    """However many ids are made up, one after the other. The clock of the issuer stands still here."""
    provider.one = provider.made(ask_again_seconds=3600.0, wait_seconds=0.01)
    provider.verifier = Verifier(None, audience="gitward", issuers=[provider.one])
    provider.one.start()
    await provider.settle()
    for _ in range(20):
        with pytest.raises(Unavailable, match="cannot get the signing key"):
            await provider.verifier.identify(provider.token("made-up", key=RSA_KEY))
    assert provider.asked == 1
    await provider.verifier.identify(provider.token())


async def test_a_question_that_began_before_the_call_proves_nothing(provider: Provider) -> None:
    """The issuer may have rotated its key after it had put its answer together."""
    provider.answers.clear()
    provider.one.start()
    await provider.came.wait()
    provider.answers.set()
    await provider.settle()
    provider.came.clear()
    provider.answers.clear()
    early = asyncio.create_task(made_up(provider))
    await provider.came.wait()
    provider.keys = {"two": EC_KEY}
    late = asyncio.create_task(known(provider, "two"))
    await asyncio.sleep(0)
    provider.answers.set()
    await asyncio.gather(early, late)


async def test_an_issuer_that_hangs_delays_nobody_whose_key_is_known(provider: Provider) -> None:
    await provider.verifier.identify(provider.token())
    provider.answers.clear()
    provider.now += FRESH_SECONDS + 1
    strangers = [asyncio.create_task(provider.verifier.identify(provider.token("x", key=RSA_KEY))) for _ in range(9)]
    for _ in range(3):
        await provider.verifier.identify(provider.token())
    await provider.came.wait()
    await provider.verifier.identify(provider.token())
    assert provider.most_at_once == 1
    assert not any(stranger.done() for stranger in strangers)
    for stranger in strangers:
        stranger.cancel()
    await asyncio.wait(strangers)


async def test_a_new_key_of_an_issuer_that_hangs_is_unavailable_and_not_a_refusal(provider: Provider) -> None:
    provider.one = provider.made(wait_seconds=0.05)
    provider.verifier = Verifier(None, audience="gitward", issuers=[provider.one])
    provider.one.start()
    await provider.settle()
    await provider.verifier.identify(provider.token())
    provider.answers.clear()
    provider.keys = {"two": EC_KEY}
    for _ in range(3):
        with pytest.raises(Unavailable, match="cannot get the signing key") as raised:
            await known(provider, "two")
        assert raised.value.retry_after >= 1
    provider.answers.set()
    await provider.settle()
    await known(provider, "two")


FAULTS: list[tuple[Exception | httpx2.Response, str]] = [
    (httpx2.ConnectError("connection refused"), "it cannot be reached (ConnectError: connection refused)"),
    (httpx2.ReadTimeout(""), "it did not answer within 10 s (ReadTimeout)"),
    (httpx2.RemoteProtocolError(""), "RemoteProtocolError"),
    (httpx2.InvalidURL("Invalid port: 'abc'"), "its address cannot be read (Invalid port: 'abc')"),
    (httpx2.Response(503), "it answered 503"),
    (httpx2.Response(200, content=b"<html>"), "its document is not JSON"),
    (httpx2.Response(200, content=b"[" * 100_000), "its document is not JSON"),
    (httpx2.Response(200, json=[]), "its document is not an object"),
    (httpx2.Response(200, json={"issuer": "https://evil.example"}), "its discovery document names another issuer"),
    (httpx2.Response(200, content=b" " * (MAX_DOCUMENT + 1)), "its document is too long"),
]


@pytest.mark.parametrize(("fault", "name"), FAULTS, ids=[name for _, name in FAULTS])
async def test_the_warning_names_the_fault_and_is_not_repeated_for_each_caller(
    provider: Provider, caplog: pytest.LogCaptureFixture, fault: Exception | httpx2.Response, name: str
) -> None:
    provider.fault = fault
    for _ in range(5):
        with pytest.raises(Unavailable):
            await provider.verifier.identify(provider.token())
    assert said(caplog) == [name]


@pytest.mark.parametrize(("fault", "name"), FAULTS, ids=[name for _, name in FAULTS])
async def test_whoever_counts_the_keys_is_told_the_fault(
    provider: Provider, fault: Exception | httpx2.Response, name: str
) -> None:
    provider.fault = fault
    with pytest.raises(Unavailable, match=re.escape(name)):
        await provider.one.count_keys()


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The faults that the log names."""
    lines = [record.getMessage() for record in caplog.records if record.name == "gitward.identity.oidc"]
    start = f"The keys of the issuer {URL} could not be fetched: "
    assert all(line.startswith(start) for line in lines)
    return [line.removeprefix(start) for line in lines]


A, B = "ReadError", "RemoteProtocolError"
# Questions, by the second: the fault of each, or None where the issuer answers. Then what is said, and when.
SAID: dict[str, tuple[dict[int, str | None], list[tuple[int, str]]]] = {
    "the same fault": (dict.fromkeys(range(0, 130, 2), A), [(0, A), (60, A), (120, A)]),
    "another one, at once": ({0: A, **dict.fromkeys(range(2, 70, 2), B)}, [(0, A), (6, B), (66, B)]),
    "another one, later": ({0: A, **dict.fromkeys(range(10, 76, 6), B)}, [(0, A), (10, B), (70, B)]),
    "another one, and back": ({0: A, 2: B, **dict.fromkeys(range(4, 66, 2), A)}, [(0, A), (60, A)]),
    "in turns": ({at: B if at % 2 else A for at in range(12)}, [(0, A), (5, B), (10, A)]),
    "after a recovery": ({0: A, 2: None, 10: A, 12: A, 69: A, 70: A}, [(0, A), (10, A), (70, A)]),
    "after a recovery, at once": ({0: A, 2: None, 4: A, 6: A, 64: A, 66: A}, [(0, A), (6, A), (66, A)]),
}


@pytest.mark.parametrize(("questions", "wanted"), SAID.values(), ids=SAID)
async def test_the_log_names_the_present_fault_soon_and_repeats_itself_seldom(
    provider: Provider,
    caplog: pytest.LogCaptureFixture,
    questions: dict[int, str | None],
    wanted: list[tuple[int, str]],
) -> None:
    faults = {A: httpx2.ReadError(""), B: httpx2.RemoteProtocolError(""), None: None}
    begin, found = provider.now, []
    for at, fault in questions.items():
        provider.now, provider.fault = begin + at, faults[fault]
        caplog.clear()
        provider.one.start()
        await provider.settle()
        found += [(at, name) for name in said(caplog)]
    assert found == wanted


async def test_the_answer_says_when_to_try_again(backend: Backend, provider: Provider) -> None:
    provider.fault = httpx2.ConnectError("down")
    api = make_api(backend)
    app = create_app(replace(api.services, verifier=provider.verifier))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://gitward") as client:
        answer = await client.get("/sessions", headers={"Authorization": provider.token()})
    problem(answer, 503, "unavailable")
    assert int(answer.headers["Retry-After"]) >= 1


async def test_a_key_that_is_taken_back_is_refused(provider: Provider) -> None:
    await provider.verifier.identify(provider.token())
    old = provider.token()
    provider.keys = {"two": EC_KEY}
    provider.now += FRESH_SECONDS + 1
    await provider.verifier.identify(old)
    await provider.settle()
    with pytest.raises(Unauthenticated, match="does not publish"):
        await provider.verifier.identify(old)


async def test_keys_outlive_an_issuer_that_is_down_for_a_while_but_not_for_ever(provider: Provider) -> None:
    await provider.verifier.identify(provider.token())
    provider.fault = httpx2.ConnectError("down")
    provider.now += FRESH_SECONDS + 1
    await provider.verifier.identify(provider.token())
    await provider.settle()
    await provider.verifier.identify(provider.token())
    provider.now += STALE_SECONDS
    with pytest.raises(Unavailable, match="cannot get the signing key"):
        await provider.verifier.identify(provider.token())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"iss": "https://evil.example"}, "does not trust the token's issuer"),
        ({"iss": "gitward"}, "does not trust the token's issuer"),
        ({"aud": "other"}, "another audience"),
        ({"exp": 1}, "expired"),
        ({"key": EC_KEY, "algorithm": "ES256"}, "algorithm is not allowed"),
        ({"key": rsa.generate_private_key(public_exponent=65537, key_size=2048)}, "signed by another key"),
    ],
)
async def test_what_the_issuer_did_not_sign_for_us_is_refused(
    provider: Provider, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(Unauthenticated, match=sentence):
        await provider.verifier.identify(provider.token(**options))


def with_header(token: str, **header: Any) -> str:
    """The same token under a header that PyJWT would not write; it is refused before its signature is looked at."""
    text = json.dumps({"alg": "RS256", "kid": "one", **header}).encode()
    return f"Bearer {jwt.utils.base64url_encode(text).decode()}.{token.partition('.')[2]}"


P384_KEY = ec.generate_private_key(ec.SECP384R1())
# An RSA key too short for a signature by PS256; nobody needs its private half.
SHORT_KEY = {"kty": "RSA", "kid": "short", "e": "AQAB", "n": jwt.utils.base64url_encode(b"\xff" * 32).decode()}
# Each error that PyJWT raises about a token, with the sentence that it becomes.
ERRORS: list[tuple[type[Exception], Callable[[Provider], str], str]] = [
    (jwt.InvalidKeyError, lambda its: its.token("two", "ES384", key=P384_KEY), "does not fit the key that the token"),
    (ValueError, lambda its: its.token("short", "PS256", key=RSA_KEY), "does not fit the key that the token names"),
    (jwt.InvalidAlgorithmError, lambda its: its.token("two", "RS256", key=RSA_KEY), "algorithm is not allowed here"),
    (jwt.InvalidAlgorithmError, lambda its: with_header(its.token(), alg=["RS256"]), "algorithm is not allowed here"),
    (jwt.InvalidSignatureError, lambda its: its.token()[:-8] + "AAAAAAAA", "is signed by another key"),
    (jwt.InvalidTokenError, lambda its: with_header(its.token(), kid=[]), "header is not allowed: its `kid` must be"),
    (jwt.InvalidTokenError, lambda its: with_header(its.token(), crit=["x"]), "must have no `crit` and no `b64`"),
    (jwt.DecodeError, lambda its: with_header("a..b"), "not a readable JWT"),
    (jwt.DecodeError, lambda its: its.token().replace(".", ""), "not a readable JWT"),
    (jwt.DecodeError, lambda its: its.token(nbf="soon"), "`nbf` must be a number of seconds"),
    (jwt.ExpiredSignatureError, lambda its: its.token(exp=1), "has expired"),
    (jwt.ImmatureSignatureError, lambda its: its.token(iat=2**40), "not valid yet"),
    (jwt.InvalidIssuedAtError, lambda its: its.token(iat="soon"), "`iat` must be a number of seconds"),
    (jwt.InvalidAudienceError, lambda its: its.token(aud=[1]), "for another audience"),
    (jwt.InvalidIssuerError, lambda its: its.token(iss="https://x.example"), "does not trust the token's issuer"),
    (jwt.MissingRequiredClaimError, lambda its: its.token(aud=[]), "lacks the claim `aud`"),
    (InvalidSubjectError, lambda its: with_claims(its, sub=1), "subject (`sub`) is a number"),
    (InvalidJTIError, lambda its: with_claims(its, jti=1), "`jti` must be a string"),
]


def with_claims(provider: Provider, **claims: Any) -> str:
    """PyJWT's `encode` refuses some claims; `PyJWS` signs whatever it is given."""
    body = jwt.decode(provider.token().removeprefix("Bearer "), options={"verify_signature": False}) | claims
    return "Bearer " + jwt.PyJWS().encode(json.dumps(body).encode(), RSA_KEY, "RS256", headers={"kid": "one"})


@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")
@pytest.mark.parametrize(
    ("kind", "token", "sentence"), ERRORS, ids=[f"{case[0].__name__}: {case[2]}" for case in ERRORS]
)
async def test_each_error_of_pyjwt_becomes_a_true_sentence(
    provider: Provider, kind: type[Exception], token: Callable[[Provider], str], sentence: str
) -> None:
    provider.keys["two"] = EC_KEY
    provider.bad_keys = [SHORT_KEY]
    with pytest.raises(Unauthenticated, match=re.escape(sentence)) as raised:
        await provider.verifier.identify(token(provider))
    assert type(raised.value.__context__) is kind


def test_no_error_of_pyjwt_is_left_out() -> None:
    """But for those of what we do not use: its client for keys."""
    kinds = {
        kind for kind in vars(jwt.exceptions).values() if isinstance(kind, type) and kind.__module__ == "jwt.exceptions"
    }
    about_tokens = {kind for kind in kinds if issubclass(kind, jwt.InvalidTokenError | jwt.InvalidKeyError)}
    assert about_tokens == {kind for kind, _, _ in ERRORS} - {ValueError}
    others = {kind.__name__ for kind in kinds - about_tokens}
    assert all(name == "PyJWTError" or name.startswith(("PyJWK", "MissingCryptography")) for name in others)


async def test_the_public_key_is_no_hmac_secret(provider: Provider) -> None:
    pem = RSA_KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    real = provider.token().removeprefix("Bearer ").split(".")
    header = jwt.utils.base64url_encode(b'{"alg":"HS256","kid":"one"}').decode()
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(
        f"{header}.{real[1]}".encode(), pem
    )
    forged = f"{header}.{real[1]}.{jwt.utils.base64url_encode(signature).decode()}"
    with pytest.raises(Unauthenticated, match="algorithm is not allowed"):
        await provider.verifier.identify(f"Bearer {forged}")


async def test_a_discovery_document_of_another_issuer_is_not_believed(provider: Provider) -> None:
    provider.issuer = "https://evil.example"
    with pytest.raises(Unavailable):
        await provider.verifier.identify(provider.token())


# Entries that are no signing keys, beside which the others are good. None is more than its own loss.
BAD_KEYS: dict[str, Any] = {
    "no object": "key",
    "kty is a list": {"kty": []},
    "kty is an object": {"kty": {}},
    "alg is a list": {"alg": ["RS256"]},
    "alg is an object": {"alg": {"RS256": 1}},
    "alg is none": {"alg": "none"},
    "alg is another type's": {"alg": "ES256"},
    "alg is HMAC": {"alg": "HS256"},
    "use is a list": {"use": ["sig"]},
    "kid is a list": {"kid": []},
    "n is a number": {"n": 1},
    "n is empty": {"n": ""},
    "e is null": {"e": None},
    "crv is a list": {"kty": "EC", "crv": []},
    "private": json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA_KEY)),
}


@pytest.mark.parametrize("changed", BAD_KEYS.values(), ids=BAD_KEYS)
async def test_a_key_without_form_costs_only_itself(provider: Provider, changed: Any) -> None:
    bad = {**_jwk("bad", RSA_KEY), **changed} if isinstance(changed, dict) else changed
    provider.bad_keys = [bad]
    await provider.verifier.identify(provider.token())
    with pytest.raises(Unauthenticated, match="does not publish"):
        await provider.verifier.identify(provider.token("bad", key=RSA_KEY))
    assert await provider.one.count_keys() == 1


async def test_keys_at_an_address_that_cannot_be_asked_are_found_when_the_issuer_has_mended_it(
    provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    good, provider.jwks_uri = provider.jwks_uri, "https://id.example:abc/keys"
    with pytest.raises(Unavailable, match="cannot get the signing key"):
        await provider.verifier.identify(provider.token())
    assert said(caplog) == ["its discovery document has no https jwks_uri"]
    with pytest.raises(Unavailable, match="no https jwks_uri"):
        await provider.one.count_keys()
    provider.jwks_uri = good
    await provider.verifier.identify(provider.token())


async def test_an_address_that_proves_to_be_none_is_forgotten(provider: Provider) -> None:
    """Whoever asks is the last to say so, whatever was looked at before."""
    await provider.verifier.identify(provider.token())
    provider.fault = httpx2.InvalidURL("Invalid port: 'abc'")
    for _ in range(2):
        with pytest.raises(Unavailable):
            await provider.verifier.identify(provider.token("two", "ES256", key=EC_KEY))
    provider.fault, provider.keys, provider.jwks_uri = None, {"two": EC_KEY}, "https://id.example/new/keys"
    await known(provider, "two")
    assert provider.paths[-1] == "/new/keys"


NO_ADDRESSES = [
    "https://id.example:abc",
    "https://id.example:99999",
    "https://id.example:-1",
    "https://[::1",
    "https://[id.example]",
    "https://1.2.3.999",
    "https://id.example/\n",
    "https://\ud800.example",
    "https://id.example/\ud800",
    f"https://id.example/{'x' * 70_000}",
    "https:///path",
]


@pytest.mark.parametrize("address", NO_ADDRESSES, ids=lambda address: ascii(address)[:40])
def test_an_address_that_cannot_be_asked_is_not_safe(address: str) -> None:
    assert not is_safe_url(address)


async def test_the_start_is_refused_with_an_issuer_that_cannot_be_asked(tmp_path: Path) -> None:
    given = {"GITWARD_OIDC_ISSUERS": "https://id.example:abc", "GITWARD_DATA_DIR": tmp_path / "data"}
    settings = load_settings(**{"GITWARD_REPOS": "acme/*", "GITWARD_AUTHORIZE": "groups=a -> acme/*", **given})
    settings.data_dir.mkdir(mode=0o711)
    with pytest.raises(SettingsError, match=r"GITWARD_OIDC_ISSUERS: https://id\.example:abc"):
        async with running_service(settings, TokenReader(None), None, base_url="http://x"):
            pass


def test_only_https_or_this_machine() -> None:
    assert is_safe_url("https://id.example")
    assert is_safe_url("http://127.0.0.1:9000/realm")
    assert not is_safe_url("http://id.example")
    assert not is_safe_url("file:///etc/passwd")


def test_rules_match_claims_and_repositories() -> None:
    rules = parse_rules("groups=platform -> acme/*, other/x ; sub=repo:acme/ci:* -> acme/ci", [URL])

    def may(claims: dict[str, Any], repository: str) -> bool:
        return admitted(rules, {"iss": URL, **claims}, repository)

    assert may({"groups": ["dev", "platform"]}, "ACME/widgets")
    assert may({"groups": "platform"}, "other/x")
    assert not may({"groups": ["dev"]}, "acme/widgets")
    assert may({"sub": "repo:acme/ci:ref:refs/heads/main"}, "acme/ci")
    assert not may({"sub": "repo:acme/ci:x"}, "acme/widgets")
    assert not may({}, "acme/widgets")
    assert admitted((), {}, "any/thing")


def test_a_rule_that_names_no_issuer_is_about_the_only_one() -> None:
    """Without issuers that is the local key; a token of anybody else's proves nothing."""
    for issuers, own in (((), "gitward"), ((URL,), URL)):
        rules = parse_rules("groups=platform -> acme/*", issuers)
        claims = {"groups": ["platform"]}
        assert admitted(rules, {"iss": own, **claims}, "acme/secret")
        assert not admitted(rules, {"iss": "https://partner.example", **claims}, "acme/secret")
        assert not admitted(rules, claims, "acme/secret")


@pytest.mark.parametrize("text", ["x", "groups=a", "-> a/b", "groups -> a/b", "=a -> a/b", "groups=a ->"])
def test_a_rule_without_its_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be CLAIM=VALUE"):
        parse_rules(text)


def with_issuers(text: str) -> object:
    return parse_operators(text, ISSUERS)


ISSUERS = ("https://id.acme.example", "https://id.partner.example")


class TestSeveralIssuers:
    RULE = "iss=https://id.acme.example & groups=platform"

    def test_a_rule_admits_the_issuer_that_it_names_alone(self) -> None:
        rules = parse_rules(f"{self.RULE} -> acme/*", ISSUERS)
        assert admitted(rules, {"iss": ISSUERS[0], "groups": ["platform"]}, "acme/secret")
        assert not admitted(rules, {"iss": ISSUERS[1], "groups": ["platform"]}, "acme/secret")
        assert not admitted(rules, {"groups": ["platform"]}, "acme/secret")
        assert not admitted(rules, {"iss": ISSUERS[0], "groups": ["dev"]}, "acme/secret")
        assert not admitted(rules, {"iss": [*ISSUERS], "groups": ["platform"]}, "acme/secret")

    def test_an_operator_is_one_of_the_issuer_that_is_named(self) -> None:
        (operator,) = parse_operators(self.RULE, ISSUERS)
        assert operator.is_one({"iss": ISSUERS[0], "groups": ["platform"]})
        assert not operator.is_one({"iss": ISSUERS[1], "groups": ["platform"]})

    def test_its_issuer_alone_may_be_a_rule(self) -> None:
        assert admitted(parse_rules(f"iss={ISSUERS[0]} -> acme/*", ISSUERS), {"iss": ISSUERS[0]}, "acme/x")

    @pytest.mark.parametrize("parse", [lambda text: parse_rules(f"{text} -> acme/*", ISSUERS), with_issuers])
    def test_one_without_an_issuer_is_refused_with_what_to_write(self, parse: Callable[[str], object]) -> None:
        with pytest.raises(ValueError, match=re.escape(f"write `{self.RULE}`")):
            parse("groups=platform")

    @pytest.mark.parametrize("parse", [lambda text: parse_rules(f"{text} -> acme/*", ISSUERS), with_issuers])
    @pytest.mark.parametrize("issuer", ["*", "https://id.acme.example/", "https://id.*.example", "gitward"])
    def test_an_issuer_is_written_out(self, parse: Callable[[str], object], issuer: str) -> None:
        with pytest.raises(ValueError, match="is not one of GITWARD_OIDC_ISSUERS"):
            parse(f"iss={issuer} & groups=platform")

    def test_with_one_issuer_a_rule_need_not_name_it(self) -> None:
        rules = parse_rules("groups=R&D -> acme/*", ISSUERS[:1])
        assert admitted(rules, {"iss": ISSUERS[0], "groups": ["R&D"]}, "acme/x")

    def test_the_claims_that_are_kept_are_all_that_the_rules_name(self) -> None:
        """But for the issuer, which is the owner's."""
        claims = {"iss": ISSUERS[0], "groups": ["platform"], "email": "a@acme.example"}
        assert relevant_claims(parse_rules(f"{self.RULE} -> acme/*", ISSUERS), claims) == {"groups": ["platform"]}

    @pytest.mark.parametrize("name", ["GITWARD_AUTHORIZE", "GITWARD_OPERATORS"])
    async def test_the_start_is_refused(self, tmp_path: Path, name: str) -> None:
        rule = "groups=platform -> acme/*" if name == "GITWARD_AUTHORIZE" else "groups=platform"
        given = {"GITWARD_OIDC_ISSUERS": ",".join(ISSUERS), "GITWARD_DATA_DIR": tmp_path / "data", name: rule}
        settings = load_settings(**{"GITWARD_REPOS": "acme/*", **given})
        settings.data_dir.mkdir(mode=0o711)
        with pytest.raises(SettingsError, match=f"{name}: with several issuers, each rule must name"):
            async with running_service(settings, TokenReader(None), None, base_url="http://x"):
                pass
