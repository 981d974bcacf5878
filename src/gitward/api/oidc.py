"""OpenID Connect issuers: their keys, found by discovery and kept fresh through rotations.

Sources: OpenID Connect Discovery 1.0 (sections 4 and 4.3), RFC 7517 (JWK).
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt

from gitward.errors import Unauthenticated, Unavailable

log = logging.getLogger(__name__)

# What a key of each type may sign with; never HMAC, whose "key" would be the public one.
ALGORITHMS = {"RSA": ("RS256", "RS384", "RS512", "PS256"), "EC": ("ES256", "ES384", "ES512"), "OKP": ("EdDSA",)}
MAX_DOCUMENT = 512 * 1024  # bytes
FRESH_SECONDS = 3600.0  # after it the keys are fetched again
STALE_SECONDS = 24 * 3600.0  # so long they are used when the issuer does not answer
# A key that is not known is asked for at once, so that a rotation disturbs nobody; but not more often than this,
# or a flood of made-up key ids would become a flood of requests to the issuer.
ASK_AGAIN_SECONDS = 5.0


class Issuer:
    """One issuer and its signing keys."""

    def __init__(self, url: str, http: httpx.AsyncClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.url = url
        self._http = http
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = self._asked_at = float("-inf")
        self._lock = asyncio.Lock()

    async def key(self, kid: str) -> jwt.PyJWK:
        """The signing key with this id.

        :raises Unauthenticated: the issuer has no such key.
        :raises Unavailable: the issuer's keys cannot be had.
        """
        if kid not in self._keys or self._clock() - self._fetched_at > FRESH_SECONDS:
            async with self._lock:
                await self._refresh(kid)
        if not self._keys or self._clock() - self._fetched_at > STALE_SECONDS:
            raise Unavailable(f"The keys of the issuer {self.url} cannot be fetched; try again in a moment.")
        if kid not in self._keys:
            raise Unauthenticated("The token is signed by a key that its issuer does not publish.")
        return self._keys[kid]

    async def _refresh(self, kid: str) -> None:
        is_fresh = kid in self._keys and self._clock() - self._fetched_at <= FRESH_SECONDS
        if is_fresh or self._clock() - self._asked_at < ASK_AGAIN_SECONDS:  # somebody else has just asked
            return
        self._asked_at = self._clock()
        try:
            self._keys = await self._fetch()
        except (httpx.HTTPError, ValueError) as error:
            log.warning("The keys of the issuer %s could not be fetched: %s", self.url, error)
            return
        self._fetched_at = self._clock()

    async def _fetch(self) -> dict[str, jwt.PyJWK]:
        document = await self._get(f"{self.url.rstrip('/')}/.well-known/openid-configuration")
        if document.get("issuer") != self.url:
            raise ValueError("its discovery document names another issuer")
        address = document.get("jwks_uri")
        if not isinstance(address, str) or not is_safe_url(address):
            raise ValueError("its discovery document has no https jwks_uri")
        published = (await self._get(address)).get("keys")
        keys = {}
        for each in published if isinstance(published, list) else ():
            if _is_signing_key(each):
                try:
                    keys[str(each["kid"])] = jwt.PyJWK(each)
                except jwt.PyJWTError:  # a curve that we do not know; the others are good
                    continue
        if not keys:
            raise ValueError("it publishes no signing key that can be used")
        return keys

    async def _get(self, url: str) -> dict[str, Any]:
        async with self._http.stream("GET", url, headers={"Accept": "application/json"}) as answer:
            answer.raise_for_status()
            body = bytearray()
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > MAX_DOCUMENT:
                    raise ValueError("its document is too long")
        parsed = json.loads(body)
        if not isinstance(parsed, dict):
            raise ValueError("its document is not an object")  # noqa: TRY004 -- one kind of error for one kind of trouble
        return parsed


def _is_signing_key(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and entry.get("use", "sig") == "sig"
        and entry.get("kty") in ALGORITHMS
        and isinstance(entry.get("kid"), str)
    )


def is_safe_url(url: str) -> bool:
    """https, or http on this machine (tests, a proxy beside the service)."""
    parts = urlsplit(url)
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost", "::1"})
    )
