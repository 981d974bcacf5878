"""Sign-in at an issuer: authorization code with PKCE, renewal by refresh token, and the way out.

Sources: OpenID Connect Core 1.0 (3.1), RP-Initiated Logout 1.0, RFC 7636 (PKCE), RFC 9207 (`iss` in the answer).
authlib words the requests; they are sent here, within our limits, and PyJWT checks what comes back.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from gitward.errors import GitwardError, Unauthenticated, Unavailable
from gitward.identity import credentials
from gitward.identity.credentials import Tokens
from gitward.identity.oidc import ANSWER_SECONDS, CANNOT_ASK, Issuer, asked, is_safe_url
from gitward.identity.verifier import LEEWAY_SECONDS, Identity, Verifier
from gitward.secrets import Secret
from gitward.sessions.model import Owner

log = logging.getLogger(__name__)

AT_ONCE = 16  # questions to the issuer: strangers can set them off; the others wait within the same time
SAY_AGAIN_SECONDS = 5.0  # between two warnings
MAX_CLAIMS = 64 * 1024  # bytes of JSON, of those that are kept
_URL = re.compile(r"[\x21-\x7e]{1,2000}")  # it may become a header
_NAMES = ("name", "preferred_username", "email")
_SILENT = "The issuer does not answer as it should; try again in a moment."
_IDENTITY = ("iss", "sub")
_SHORT, _LONGEST = 300.0, 86400.0  # seconds that a renewed token lasts: where the issuer does not say, and at most


class Refused(GitwardError):
    """The issuer, or a check of its answer, says no. The text is for the person who signs in."""


@dataclass(frozen=True, kw_only=True)
class Client:
    """What the issuer knows Gitward as."""

    id: str
    secret: Secret | None  # None: a public client
    scopes: str  # "openid profile groups"
    claims: frozenset[str]  # that rules, operators and other settings name


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """The secrets of one question to the issuer, which only the browser's cookie can give again."""

    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What a sign-in may rest on."""

    owner: Owner
    claims: Mapping[str, Any]
    expires_at: float  # seconds since 1970
    tokens: Tokens


class CodeFlow:
    """Talks with one issuer. It keeps nothing."""

    def __init__(
        self, issuer: Issuer, client: Client, http: httpx2.AsyncClient, *, answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        self.issuer = issuer
        self._answer_seconds = answer_seconds
        self._warned_at = float("-inf")
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._client = client
        self._http = http
        self._verifier = Verifier(None, audience=client.id, issuers=[issuer])

    async def question(self, attempt: Attempt, redirect_uri: str) -> str:
        """The issuer's address to which the browser goes."""
        return str(
            prepare_grant_uri(
                await self._endpoint("authorization_endpoint"),
                self._client.id,
                "code",
                redirect_uri,
                self._client.scopes,
                attempt.state,
                nonce=attempt.nonce,
                code_challenge=create_s256_code_challenge(attempt.verifier),
                code_challenge_method="S256",
            )
        )

    async def check_issuer(self, iss: str | None) -> None:
        """:raises Refused: the answer is another issuer's, which might want to have this one's code."""
        says_so = (await self.issuer.description()).get("authorization_response_iss_parameter_supported") is True
        if iss != self.issuer.url and (iss is not None or says_so):
            raise Refused("The answer does not come from the issuer that was asked.")

    async def grant(self, attempt: Attempt, code: str, redirect_uri: str) -> Grant:
        """:raises Refused: the code, or what the issuer gives for it, is not good.
        :raises Unavailable: the issuer does not answer.
        """
        document = await self._token_answer(
            "authorization_code", redirect_uri=redirect_uri, code=code, code_verifier=attempt.verifier
        )
        identity = await self._identity(document)
        nonce = identity.claims.get("nonce")
        if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), attempt.nonce.encode()):
            raise Refused("The issuer's token was made for another sign-in.")
        return await self._granted(identity, document, refresh_token=None)

    async def renew(self, owner: Owner, tokens: Tokens, claims: Mapping[str, Any]) -> Grant:
        """:param claims: as they are; they stay when the issuer gives no new token of who it is.
        :raises Refused: the issuer ends the sign-in.
        :raises Unavailable: the issuer does not answer.
        """
        if tokens.refresh_token is None:
            raise Refused("The sign-in has expired.")
        document = await self._token_answer(
            "refresh_token", refresh_token=credentials.as_parameter(tokens.refresh_token)
        )
        if "id_token" not in document:
            refreshed = credentials.token_in(document, "refresh_token") or tokens.refresh_token
            kept = Tokens(id_token=tokens.id_token, refresh_token=refreshed)
            return Grant(owner=owner, claims=claims, expires_at=time.time() + _lifetime(document), tokens=kept)
        identity = await self._identity(document)
        if identity.owner != owner:
            raise Refused("The issuer renewed the sign-in of somebody else.")
        return await self._granted(identity, document, refresh_token=tokens.refresh_token)

    async def way_out(self, tokens: Tokens | None, back_to: str) -> str | None:
        """The issuer's address at which the sign-in ends there too, if it has one."""
        try:
            endpoint = await self._endpoint("end_session_endpoint")
        except (Unavailable, Refused):
            return None
        hint = {} if tokens is None else {"id_token_hint": credentials.as_parameter(tokens.id_token)}
        query = urlencode({"client_id": self._client.id, "post_logout_redirect_uri": back_to, **hint})
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{query}"

    async def _granted(self, identity: Identity, document: Mapping[str, Any], refresh_token: Secret | None) -> Grant:
        claims = await self._with_userinfo(identity, document)
        kept = {name: claims[name] for name in sorted({*_IDENTITY, *_NAMES, *self._client.claims}) if name in claims}
        if len(json.dumps(kept)) > MAX_CLAIMS:
            raise Refused(f"The issuer's claims are longer than {MAX_CLAIMS} bytes.")
        id_token = credentials.token_in(document, "id_token")
        assert id_token is not None  # `_identity` has read it
        tokens = Tokens(
            id_token=id_token, refresh_token=credentials.token_in(document, "refresh_token") or refresh_token
        )
        # As long as the API takes a token: the issuer's clock may be behind ours.
        expires_at = identity.expires_at + LEEWAY_SECONDS
        return Grant(owner=identity.owner, claims=kept, expires_at=expires_at, tokens=tokens)

    async def _identity(self, document: Mapping[str, Any]) -> Identity:
        token = credentials.token_in(document, "id_token")
        if token is None:
            raise Refused("The issuer gave no ID token; the scopes must contain `openid`.")
        try:
            identity = await self._verifier.identify(credentials.bearer(token))
        except Unauthenticated as error:
            raise Refused(f"The issuer's ID token is not valid. {error.detail}") from None
        if identity.claims.get("azp", self._client.id) != self._client.id:
            raise Refused("The issuer's ID token was made for another client.")
        return identity

    async def _with_userinfo(self, identity: Identity, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Many issuers tell groups only there. It adds claims; it changes none."""
        endpoint = (await self.issuer.description()).get("userinfo_endpoint")
        access = credentials.token_in(document, "access_token")
        missing = ({*self._client.claims, "name"}) - identity.claims.keys()
        if not missing or access is None or not isinstance(endpoint, str) or not is_safe_url(endpoint):
            return identity.claims
        status, told = await self._asked("GET", endpoint, headers={"Authorization": credentials.bearer(access)})
        if status != 200 or told.get("sub") != identity.owner.subject:
            raise Refused("The issuer does not say who the person is (userinfo).")
        return {**told, **identity.claims}

    async def _token_answer(self, grant_type: str, **parameters: str) -> dict[str, Any]:
        endpoint = await self._endpoint("token_endpoint")
        headers, more = await self._authentication()
        body = prepare_token_request(grant_type, **parameters)
        form = {**dict(parse_qsl(body, keep_blank_values=True)), **more}
        status, document = await self._asked("POST", endpoint, headers=headers, form=form)
        if status == 200:
            return document
        error = document.get("error")
        shown = error if isinstance(error, str) and error.isascii() and error.isprintable() else ""
        self._warn("The issuer %s refused a sign-in: %s", f"{status} {shown[:60]}")
        if status >= 500 or status == 429 or not shown:
            raise Unavailable(_SILENT)
        raise Refused(f"The issuer refused the sign-in ({shown[:60]}).")

    async def _authentication(self) -> tuple[dict[str, str], dict[str, str]]:
        """Headers and form fields that prove the client."""
        secret, named = self._client.secret, {"client_id": self._client.id}
        if secret is None:
            return {}, named
        methods = (await self.issuer.description()).get("token_endpoint_auth_methods_supported")
        methods = methods if isinstance(methods, list) else ["client_secret_basic"]
        # Issuers disagree whether a secret with special characters is encoded in the header; in a form none does.
        is_plain = credentials.is_plain(self._client.id, secret)
        if "client_secret_post" in methods and not ("client_secret_basic" in methods and is_plain):
            return {}, {**named, "client_secret": credentials.as_parameter(secret)}
        return {"Authorization": credentials.basic(self._client.id, secret)}, {}

    def _warn(self, text: str, told: str) -> None:
        """Now and then: how often it happens is up to strangers. The audit log has the others."""
        if time.monotonic() - self._warned_at >= SAY_AGAIN_SECONDS:
            self._warned_at = time.monotonic()
            log.warning(text, self.issuer.url, told)

    async def _endpoint(self, name: str) -> str:
        address = (await self.issuer.description()).get(name)
        if not isinstance(address, str) or not _URL.fullmatch(address) or not is_safe_url(address):
            raise Refused(f"The issuer has no https {name}.")
        return address

    async def _asked(self, method: str, url: str, **more: Any) -> tuple[int, dict[str, Any]]:
        try:
            async with asyncio.timeout(self._answer_seconds), self._turns:
                return await asked(self._http, method, url, **more)
        except CANNOT_ASK as error:
            self._warn("The issuer %s does not answer: %s", type(error).__name__)
            raise Unavailable(_SILENT) from None


def _lifetime(document: Mapping[str, Any]) -> float:
    """Seconds."""
    told = document.get("expires_in")
    if not isinstance(told, int | float) or isinstance(told, bool) or not 0 <= told <= _LONGEST:
        return _SHORT
    return float(told)
