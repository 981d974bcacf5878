"""A JWT becomes an identity, or a refusal that says why."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jwt.exceptions import InvalidJTIError, InvalidSubjectError

from gitward.errors import Unauthenticated
from gitward.identity.keys import ALGORITHM, LOCAL_ISSUER
from gitward.identity.oidc import ALGORITHMS, Issuer
from gitward.sessions.model import Owner

LEEWAY_SECONDS = 60
MAX_SUBJECT = 255  # characters
_REQUIRED = ["exp", "iat", "sub", "aud", "iss"]
_TIMES = ("exp", "iat", "nbf")
_SUBJECT = f"it must be a string of 1 to {MAX_SUBJECT} printable characters."
_MISFIT = "The token's signature algorithm (`alg`) does not fit the key that the token names (`kid`)."
_HEADER = "The token's header is not allowed: its `kid` must be a string, and it must have no `crit` and no `b64`."
_MINT_ONE = "send `Authorization: Bearer <jwt>`; `gitward token --subject <name>` mints one."
_ASK_ISSUER = "send `Authorization: Bearer <jwt>` with a token of an issuer that this server trusts."

# What each of PyJWT's errors means to the caller; subclasses before their bases.
_SENTENCES: tuple[tuple[type[jwt.PyJWTError], str], ...] = (
    (jwt.ExpiredSignatureError, "The token has expired."),
    (jwt.ImmatureSignatureError, "The token is not valid yet."),
    (jwt.InvalidAudienceError, "The token is for another audience."),
    (jwt.InvalidIssuerError, "This server does not trust the token's issuer."),
    (jwt.InvalidIssuedAtError, "The token's `iat` must be a number of seconds."),
    (InvalidJTIError, "The token's `jti` must be a string."),
    (jwt.InvalidAlgorithmError, "The token is unsigned, or its signature algorithm is not allowed here."),
    (jwt.InvalidSignatureError, "The token is signed by another key."),
    (jwt.InvalidKeyError, _MISFIT),
)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a token proves."""

    owner: Owner
    claims: Mapping[str, Any]
    expires_at: float  # the token's `exp`, in seconds since 1970; requests are let in for LEEWAY_SECONDS more


class Verifier:
    """Checks JWTs: of the local issuer when there is a key, and of OpenID Connect issuers."""

    def __init__(self, key: Ed25519PublicKey | None, *, audience: str, issuers: Iterable[Issuer] = ()) -> None:
        self._key = key
        self._audience = audience
        self._issuers = {issuer.url: issuer for issuer in issuers}
        self._hint = _ASK_ISSUER if self._issuers else _MINT_ONE

    async def identify(self, authorization: str | None) -> Identity:
        """The caller that an Authorization header proves.

        :raises Unauthenticated: with a sentence; the token itself is never quoted.
        :raises Unavailable: the issuer's keys cannot be had.
        """
        scheme, _, token = (authorization or "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated(f"A bearer token is required: {self._hint}")
        try:
            key, algorithms, issuer = await self._key_for(token)
            claims = jwt.decode(
                token,
                key,
                algorithms=algorithms,
                audience=self._audience,
                issuer=issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": _REQUIRED},
            )
            expires_at = float(claims["exp"])
        except (jwt.PyJWTError, ValueError, OverflowError, RecursionError) as error:
            raise Unauthenticated(self._sentence(token, error)) from None
        return Identity(owner=_owner(claims), claims=claims, expires_at=expires_at)

    async def _key_for(self, token: str) -> tuple[Any, Sequence[str], str]:
        """The key that must have signed the token, what it may have signed with, and the issuer that must stand in it.

        The unverified issuer only chooses among those that are trusted; `jwt.decode` then proves it.
        """
        issuer = self._issuers.get(self._claimed_issuer(token)) if self._issuers else None
        if issuer is None:
            if self._key is None:
                raise jwt.InvalidIssuerError
            return self._key, [ALGORITHM], LOCAL_ISSUER
        kid = jwt.get_unverified_header(token).get("kid")
        if not isinstance(kid, str):
            raise Unauthenticated("The token does not name the key that signed it (`kid`).")
        key = await issuer.key(kid)
        return key.key, ALGORITHMS[key.key_type or ""], issuer.url

    def _claimed_issuer(self, token: str) -> str:
        claims = _unproved(token)
        if "iss" not in claims:
            raise jwt.MissingRequiredClaimError("iss")
        return str(claims["iss"])

    def _sentence(self, token: str, error: Exception) -> str:
        if isinstance(error, jwt.MissingRequiredClaimError):
            return f"The token lacks the claim `{error.claim}`; it must have exp, iat, sub, aud and iss."
        if isinstance(error, InvalidSubjectError):
            return f"The token's subject (`sub`) is {_kind(_unproved(token).get('sub'))}; {_SUBJECT}"
        if type(error) is jwt.InvalidTokenError:  # PyJWT has the base itself for what a header says, and nothing else
            return _HEADER
        if isinstance(error, ValueError) and not isinstance(error, UnicodeError):
            return _MISFIT  # cryptography's, of an RSA key that is too short for PS256
        known = next((sentence for kind, sentence in _SENTENCES if isinstance(error, kind)), None)
        return known or _wrong_time(token) or f"The token is not a readable JWT: {self._hint}"


def _unproved(token: str) -> dict[str, Any]:
    """The claims, before anybody looked whether they are true."""
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def _kind(value: object) -> str:
    """What JSON calls it."""
    names = {bool: "a boolean", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), "null")


def _wrong_time(token: str) -> str | None:
    """PyJWT has one kind of error for a token without form and for a time that is no number."""
    try:
        claims = _unproved(token)
    except (jwt.PyJWTError, ValueError, OverflowError, RecursionError):
        return None
    wrong = [name for name in _TIMES if name in claims and not _is_time(claims[name])]
    return f"The token's `{wrong[0]}` must be a number of seconds." if wrong else None


def _is_time(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False


def _owner(claims: dict[str, Any]) -> Owner:
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT or not subject.isprintable():
        raise Unauthenticated(f"The token's subject (`sub`) is not allowed: {_SUBJECT}")
    return Owner(issuer=str(claims["iss"]), subject=subject)
