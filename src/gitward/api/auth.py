"""Who calls: a bearer JWT becomes an owner, or a refusal that says why."""

from __future__ import annotations

from typing import Annotated, Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from gitward.api.keys import ALGORITHM, LOCAL_ISSUER
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


class Verifier:
    """Checks JWTs of the local issuer."""

    def __init__(self, key: Ed25519PublicKey, *, audience: str) -> None:
        self._key = key
        self._audience = audience

    def owner(self, authorization: str | None) -> Owner:
        """The owner that an Authorization header proves.

        :raises Unauthenticated: with a sentence; the token itself is never quoted.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated(f"A bearer token is needed: {_GET_ONE}")
        try:
            claims = jwt.decode(
                token.strip(),
                self._key,
                algorithms=[ALGORITHM],
                audience=self._audience,
                issuer=LOCAL_ISSUER,
                leeway=LEEWAY_SECONDS,
                options={"require": _REQUIRED},
            )
        except (jwt.PyJWTError, ValueError, OverflowError, RecursionError) as error:
            raise Unauthenticated(_sentence(error)) from None
        return _owner(claims)


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


Caller = Annotated[Owner, Depends(_caller)]
