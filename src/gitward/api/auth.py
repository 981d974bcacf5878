"""Who calls: a bearer JWT becomes an owner, or a refusal that says why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from gitward.api.keys import ALGORITHM, LOCAL_ISSUER
from gitward.api.oidc import ALGORITHMS, Issuer
from gitward.errors import Unauthenticated
from gitward.sessions.model import Owner

LEEWAY_SECONDS = 60
MAX_SUBJECT = 255  # characters
_REQUIRED = ["exp", "iat", "sub", "aud", "iss"]
_GET_ONE = "send `Authorization: Bearer <jwt>`; `gitward token --subject <name>` mints one."

# What each of PyJWT's errors means to the caller; subclasses before their bases.
_SENTENCES: tuple[tuple[type[jwt.PyJWTError], str], ...] = (
    (jwt.ExpiredSignatureError, "The token has expired."),
    (jwt.ImmatureSignatureError, "The token is not valid yet."),
    (jwt.InvalidAudienceError, "The token is for another audience."),
    (jwt.InvalidIssuerError, "The token is from an issuer that is not trusted here."),
    (jwt.MissingRequiredClaimError, "The token lacks one of the claims exp, iat, sub, aud and iss."),
    (jwt.InvalidAlgorithmError, "The token is unsigned or signed with an algorithm that is not allowed here."),
    (jwt.InvalidSignatureError, "The token is signed by another key."),
)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a token proves."""

    owner: Owner
    claims: Mapping[str, Any]


class Verifier:
    """Checks JWTs: of the local issuer when there is a key, and of OpenID Connect issuers."""

    def __init__(self, key: Ed25519PublicKey | None, *, audience: str, issuers: Iterable[Issuer] = ()) -> None:
        self._key = key
        self._audience = audience
        self._issuers = {issuer.url: issuer for issuer in issuers}

    async def identify(self, authorization: str | None) -> Identity:
        """The caller that an Authorization header proves.

        :raises Unauthenticated: with a sentence; the token itself is never quoted.
        :raises Unavailable: the issuer's keys cannot be had.
        """
        scheme, _, token = (authorization or "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated(f"A bearer token is needed: {_GET_ONE}")
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
        except (jwt.PyJWTError, ValueError, OverflowError, RecursionError) as error:
            raise Unauthenticated(_sentence(error)) from None
        return Identity(owner=_owner(claims), claims=claims)

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
        claims = jwt.decode(token, options={"verify_signature": False})
        return str(claims.get("iss", ""))


def _sentence(error: Exception) -> str:
    known = (sentence for kind, sentence in _SENTENCES if isinstance(error, kind))
    return next(known, f"The token is not a JWT that can be read: {_GET_ONE}")


def _owner(claims: dict[str, Any]) -> Owner:
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT or not subject.isprintable():
        raise Unauthenticated(f"The token's subject must be 1 to {MAX_SUBJECT} printable characters.")
    return Owner(issuer=str(claims["iss"]), subject=subject)


_scheme = HTTPBearer(bearerFormat="JWT", auto_error=False, description="A JWT; `gitward token` mints one.")


def _caller(request: Request, _: Annotated[object, Depends(_scheme)]) -> Owner:
    """The gate has authenticated the request before it came here; a route outside the gate fails closed."""
    owner = request.scope.get("gitward.owner")
    if not isinstance(owner, Owner):
        raise Unauthenticated(f"A bearer token is needed: {_GET_ONE}")
    return owner


def _claims(request: Request) -> Mapping[str, Any]:
    claims = request.scope.get("gitward.claims")
    return claims if isinstance(claims, Mapping) else {}


Caller = Annotated[Owner, Depends(_caller)]
Claims = Annotated[Mapping[str, Any], Depends(_claims)]
