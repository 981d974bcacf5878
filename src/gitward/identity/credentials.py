"""The few forms in which the client's secret and an issuer's tokens are unsealed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote_plus

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gitward.secrets import Secret, reveal

_NONCE = 12  # bytes


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """What an issuer gave for a sign-in."""

    id_token: Secret  # names the sign-in when it ends
    refresh_token: Secret | None


def basic(client_id: str, secret: Secret) -> str:
    """An Authorization header (RFC 6749, section 2.3.1: both are form-encoded first)."""
    pair = f"{quote_plus(client_id)}:{quote_plus(reveal(secret))}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def is_plain(client_id: str, secret: Secret) -> bool:
    """Whether `basic` sends both as they are."""
    return all(quote_plus(value) == value for value in (client_id, reveal(secret)))


def bearer(token: Secret) -> str:
    return f"Bearer {reveal(token)}"


def as_parameter(secret: Secret) -> str:
    """For a form or an address that goes to the issuer alone."""
    return reveal(secret)


def seal(tokens: Tokens, cookie: str) -> bytes:
    """What the database keeps: only who has the cookie can open it."""
    refresh = None if tokens.refresh_token is None else reveal(tokens.refresh_token)
    plain = json.dumps([reveal(tokens.id_token), refresh]).encode()
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(_key(cookie)).encrypt(nonce, plain, None)


def unseal(sealed: bytes | None, cookie: str) -> Tokens | None:
    """None: there are none, or they are another cookie's."""
    if sealed is None:
        return None
    try:
        id_token, refresh = json.loads(AESGCM(_key(cookie)).decrypt(sealed[:_NONCE], sealed[_NONCE:], None))
    except (InvalidTag, ValueError):
        return None
    return Tokens(id_token=Secret(id_token), refresh_token=Secret(refresh) if refresh else None)


def _key(cookie: str) -> bytes:
    return hmac.new(cookie.encode(), b"seal", hashlib.sha256).digest()


def token_in(document: Mapping[str, object], name: str) -> Secret | None:
    """A token of an issuer's answer."""
    value = document.get(name)
    return Secret(value) if isinstance(value, str) and value.isascii() and value.isprintable() and value else None
