"""OpenID Connect issuers: their keys, found by discovery and kept fresh through rotations.

Sources: OpenID Connect Discovery 1.0 (sections 4 and 4.3), RFC 7517 (JWK).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx2
import jwt

from gitward.errors import Unauthenticated, Unavailable

log = logging.getLogger(__name__)

# What a key of each type may sign with; never HMAC, whose "key" would be the public one.
ALGORITHMS = {"RSA": ("RS256", "RS384", "RS512", "PS256"), "EC": ("ES256", "ES384", "ES512"), "OKP": ("EdDSA",)}
MAX_DOCUMENT = 512 * 1024  # bytes
MAX_KEYS = 200  # that are looked at, of one document
FRESH_SECONDS = 3600.0  # after it the keys are fetched again, while those that are known serve on
STALE_SECONDS = 24 * 3600.0  # so long they are used when the issuer does not answer
ANSWER_SECONDS = 10.0  # for a whole answer; an issuer that sends a byte now and then gets no longer
# A key that is not known is asked for at once, so that a rotation disturbs nobody; but questions begin no closer to
# each other than this, or a flood of made-up key ids would become a flood of requests to the issuer.
ASK_AGAIN_SECONDS = 1.0
WAIT_SECONDS = 3.0  # for a key that is not known; longer than two questions of an issuer that is well
SAY_AGAIN_SECONDS, SAY_NEWS_SECONDS = 60.0, 5.0  # between two warnings: of the same fault, of another one
# What `asked` raises when an issuer cannot be asked, or answers nothing of use. InvalidURL is no HTTPError.
CANNOT_ASK = (httpx2.HTTPError, httpx2.InvalidURL, ValueError, TimeoutError)


class Issuer:
    """One issuer and its signing keys. Questions go one at a time, in the background; `stop` ends the one under way."""

    def __init__(
        self,
        url: str,
        http: httpx2.AsyncClient,
        *,
        clock: Callable[[], float] = time.monotonic,
        ask_again_seconds: float = ASK_AGAIN_SECONDS,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self.url = url
        self._http = http
        self._clock = clock
        self._ask_again_seconds = ask_again_seconds
        self._wait_seconds = wait_seconds
        self._keys: dict[str, jwt.PyJWK] = {}
        self._keys_url: str | None = None  # as its discovery document says
        self._description: Mapping[str, Any] | None = None  # that document, the last that could be had
        self._fetched_at = self._discovered_at = self._asked_at = float("-inf")
        self._began = 0  # questions
        self._answered = 0  # the newest question that was answered well
        self._question: asyncio.Task[None] | None = None
        self._said: str | None = None  # the fault that the log names; None since a question was answered well
        self._said_at = float("-inf")

    def start(self) -> None:
        """Asks for the keys, so that the first caller need not wait for them."""
        self._start_refresh()

    async def stop(self) -> None:
        if self._question is not None:
            self._question.cancel()
            await asyncio.wait([self._question])

    @property
    def is_asking(self) -> bool:
        """Whether a question is under way."""
        return self._question is not None and not self._question.done()

    async def key(self, kid: str) -> jwt.PyJWK:
        """The signing key with this id. One that is known is there at once, whatever the issuer does.

        :raises Unauthenticated: the issuer was asked after the call, and has no such key.
        :raises Unavailable: the issuer could not be asked.
        """
        if not self._has(kid):
            await self._learn(kid)
        elif self._clock() - self._fetched_at > FRESH_SECONDS:
            self._start_refresh()
        return self._keys[kid]

    async def description(self) -> Mapping[str, Any]:
        """Its discovery document: the last one, renewed in the background when it is old.

        :raises Unavailable: it could not be had.
        """
        if self._description is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._wait_seconds):
                    await asyncio.wait([self._start_refresh()])
        elif self._clock() - self._discovered_at > FRESH_SECONDS:
            self._start_refresh()
        if self._description is None:
            raise Unavailable("The issuer of sign-ins does not answer; try again in a moment.")
        return self._description

    async def count_keys(self) -> int:
        """Asks now, past what is known: how many signing keys it publishes.

        :raises Unavailable: it could not be asked, or what it says is of no use; the text goes on after its address.
        """
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                self._description = None
                self._keys_url = await self._discover()
                self._keys = await self._fetch()
        except CANNOT_ASK as error:
            raise Unavailable(_fault_of(error)) from None
        return len(self._keys)

    def _has(self, kid: str) -> bool:
        return kid in self._keys and self._clock() - self._fetched_at <= STALE_SECONDS

    async def _learn(self, kid: str) -> None:
        """Waits for an answer to a question that began after the call: an earlier one may not know a new key yet."""
        before = self._began
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._wait_seconds):
                while not self._has(kid) and self._began == before:
                    await asyncio.wait([self._start_refresh()])
        if self._has(kid):
            return
        if self._answered > before:
            raise Unauthenticated("The token is signed by a key that its issuer does not publish.")
        raise Unavailable(
            "Gitward cannot get the signing key from the issuer of this token; try again in a moment.",
            retry_after=max(1, round(self._ask_again_seconds)),
        )

    def _start_refresh(self) -> asyncio.Task[None]:
        """The question that is under way, or else a new one."""
        if self._question is None or self._question.done():  # not `is_asking`: what it narrows is returned
            self._question = asyncio.create_task(self._refresh(), name=f"keys of {self.url}")
        return self._question

    async def _refresh(self) -> None:
        await asyncio.sleep(max(0.0, self._asked_at + self._ask_again_seconds - self._clock()))
        self._asked_at = self._clock()
        self._began += 1
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                self._keys = await self._fetch()
        except CANNOT_ASK as error:
            self._keys_url = None
            self._record_fault(_fault_of(error))
            return
        self._fetched_at, self._answered = self._asked_at, self._began
        self._record_fault(None)

    def _record_fault(self, fault: str | None) -> None:
        """Logs a fault when it is new, and again after a while: how often it is asked is up to strangers.

        New is what the log does not name yet, so a fault that came too early to be said is said a little later.
        """
        if fault is None:
            self._said = None
            return
        pause = SAY_AGAIN_SECONDS if fault == self._said else SAY_NEWS_SECONDS
        if self._clock() - self._said_at >= pause:
            self._said, self._said_at = fault, self._clock()
            log.warning("The keys of the issuer %s could not be fetched: %s", self.url, fault)

    async def _fetch(self) -> dict[str, jwt.PyJWK]:
        if self._keys_url is None or self._clock() - self._discovered_at > FRESH_SECONDS:
            self._keys_url = await self._discover()
            self._discovered_at = self._clock()
        published = (await self._get(self._keys_url)).get("keys")
        # In a thread: what it publishes may be long.
        keys = await asyncio.to_thread(_signing_keys, published if isinstance(published, list) else [])
        if not keys:
            raise ValueError("it publishes no usable signing key")
        return keys

    async def _discover(self) -> str:
        document = await self._get(f"{self.url.rstrip('/')}/.well-known/openid-configuration")
        if document.get("issuer") != self.url:
            raise ValueError("its discovery document names another issuer")
        address = document.get("jwks_uri")
        if not isinstance(address, str) or not is_safe_url(address):
            raise ValueError("its discovery document has no https jwks_uri")
        self._description = document
        return address

    async def _get(self, url: str) -> dict[str, Any]:
        status, document = await asked(self._http, "GET", url)
        if status >= 400 or status // 100 == 3:
            raise ValueError(f"it answered {status}")
        return document


async def asked(
    http: httpx2.AsyncClient,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
) -> tuple[int, dict[str, Any]]:
    """What an issuer answers: its status and its document, within limits. Redirects are not followed.

    :raises httpx2.HTTPError, httpx2.InvalidURL, ValueError: it cannot be reached, or what it sends is no document.
    """
    sent = {"Accept": "application/json", **(headers or {})}
    async with http.stream(method, url, headers=sent, data=form) as answer:
        body = bytearray()
        async for piece in answer.aiter_bytes():
            body += piece
            if len(body) > MAX_DOCUMENT:
                raise ValueError("its document is too long")
    if answer.status_code >= 400 and not answer.headers.get("content-type", "").startswith("application/json"):
        return answer.status_code, {}
    if answer.status_code // 100 == 3:
        return answer.status_code, {}
    return answer.status_code, await asyncio.to_thread(_object, bytes(body))


def _object(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("its document is not JSON") from None
    if not isinstance(parsed, dict):
        raise ValueError("its document is not an object")  # noqa: TRY004 -- one kind of error for one kind of trouble
    return parsed


def _fault_of(error: Exception) -> str:
    """One that timed out has no text of its own."""
    if isinstance(error, httpx2.HTTPStatusError):
        return f"it answered {error.response.status_code}"
    if isinstance(error, TimeoutError | httpx2.TimeoutException):
        return f"it did not answer within {ANSWER_SECONDS:g} s ({type(error).__name__})"
    if isinstance(error, httpx2.HTTPError):
        return f"it cannot be reached ({type(error).__name__}: {error})" if str(error) else type(error).__name__
    if isinstance(error, httpx2.InvalidURL):
        return f"its address cannot be read ({error})"
    return str(error)


def _signing_keys(published: list[Any]) -> dict[str, jwt.PyJWK]:
    keys = {}
    for each in published[:MAX_KEYS]:
        if _is_signing_key(each):
            # One with a curve that we do not know, or without form, costs only itself: the others are good. PyJWT has
            # TypeError for an `alg` that is no string, and NotImplementedError for "none".
            with contextlib.suppress(jwt.PyJWTError, ValueError, TypeError, NotImplementedError):
                keys[str(each["kid"])] = jwt.PyJWK(each)
    return keys


def _is_signing_key(entry: Any) -> bool:
    """A private key that is published (`d`) is none: anybody may sign with it."""
    return (
        isinstance(entry, dict)
        and entry.get("use", "sig") == "sig"
        and isinstance(entry.get("kty"), str)
        and entry["kty"] in ALGORITHMS
        and isinstance(entry.get("kid"), str)
        and "d" not in entry
    )


def is_safe_url(url: str) -> bool:
    """https, or http on this machine (tests, a proxy beside the service); and one that can be asked at all."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # a ValueError when it is no number in range
        httpx2.URL(url)
    except (ValueError, httpx2.InvalidURL):
        return False
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost", "::1"})
    )
