"""An issuer that answers whatever a test wants, also what no good one would: behind a transport, without a network."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from gitward.identity.code_flow import Client, CodeFlow
from gitward.identity.oidc import Issuer
from gitward.secrets import Secret

URL = "https://id.example/realms/acme"
CLIENT = "gitward-web"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
Json = dict[str, Any]
Handler = Callable[[httpx2.Request], httpx2.Response]


class FakeIssuer:
    def __init__(self, *, claims: tuple[str, ...] = (), answer_seconds: float = 10.0) -> None:
        self.description: Json = {
            "issuer": URL,
            "jwks_uri": "https://id.example/keys",
            "authorization_endpoint": "https://id.example/authorize?tenant=a",
            "token_endpoint": "https://id.example/token",
            "userinfo_endpoint": "https://id.example/userinfo",
        }
        self.nonce = ""  # of the last question
        self.id_claims: Json = {}  # that it puts into its ID tokens, instead of good ones
        self.id_token: Callable[[Json], str] = lambda claims: jwt.encode(claims, KEY, "RS256", headers={"kid": "one"})
        self.token_extra: Json = {}
        self.token_answer: Handler | None = None  # instead of the good one
        self.userinfo: Json = {}
        self.hangs = asyncio.Event()
        self.hanging = self.most_hanging = 0
        self.asked: list[httpx2.Request] = []
        self.http = httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer))
        self.issuer = Issuer(URL, self.http, ask_again_seconds=0.01, wait_seconds=20.0)
        secret = Secret("a client's secret")
        client = Client(id=CLIENT, secret=secret, scopes="openid", claims=frozenset(claims))
        self.flow = CodeFlow(self.issuer, client, self.http, answer_seconds=answer_seconds)

    async def stop(self) -> None:
        await self.issuer.stop()
        await self.http.aclose()

    def seen(self, address: str) -> str:
        """The state of the question that the browser was sent with."""
        query = parse_qs(urlsplit(address).query)
        self.nonce = query["nonce"][0]
        return query["state"][0]

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path.rpartition("/")[2]
        if path == "openid-configuration":
            return httpx2.Response(200, json=self.description)
        if path == "keys":
            key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key()))
            return httpx2.Response(200, json={"keys": [{**key, "kid": "one", "use": "sig"}]})
        self.asked.append(request)
        if path == "userinfo":
            return httpx2.Response(200, json={"sub": "alice", **self.userinfo})
        if self.hangs.is_set():
            await self._hang()
        return self.token_answer(request) if self.token_answer else httpx2.Response(200, json=self.tokens())

    async def _hang(self) -> None:
        self.hanging += 1
        self.most_hanging = max(self.hanging, self.most_hanging)
        try:
            await asyncio.Event().wait()
        finally:
            self.hanging -= 1

    def tokens(self) -> Json:
        now = int(time.time())
        good = {"iss": URL, "aud": CLIENT, "sub": "alice", "iat": now, "exp": now + 300, "nonce": self.nonce}
        claims = {name: value for name, value in {**good, **self.id_claims}.items() if value is not None}
        return {
            "access_token": "access-1",
            "token_type": "Bearer",
            "id_token": self.id_token(claims),
            **self.token_extra,
        }
