"""The few forms in which a token, or the private key of a GitHub App, is unsealed."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gitward.secrets import Secret, reveal

# GitHub's documentation, "About authentication to GitHub", token formats.
_KINDS = {
    "ghp_": "a classic token",
    "github_pat_": "a fine-grained token",
    "gho_": "an OAuth token",
    "ghu_": "a GitHub App's user token",
    "ghs_": "a GitHub App's installation token",
}
_OLD_CLASSIC = re.compile(r"[0-9a-f]{40}\Z")


def kind_of(token: Secret) -> str:
    """The kind in words, by the token's prefix."""
    value = reveal(token)
    found = next((kind for prefix, kind in _KINDS.items() if value.startswith(prefix)), None)
    return found or ("a classic token" if _OLD_CLASSIC.match(value) else "a token of unknown kind")


def app_jwt(private_key: Secret, *, issuer: str, issued_at: int, expires_at: int) -> Secret:
    """What a GitHub App proves itself with, signed by RS256.

    :raises ValueError: the key is no RSA private key.
    """
    claims = {"iss": issuer, "iat": issued_at, "exp": expires_at}
    key = _rsa_key(private_key)
    if key is None:
        raise ValueError("no RSA private key in PEM")
    return Secret(jwt.encode(claims, key, algorithm="RS256"))


def _rsa_key(pem: Secret) -> RSAPrivateKey | None:
    try:
        key = load_pem_private_key(reveal(pem).encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # their texts may quote the key
        return None
    return key if isinstance(key, RSAPrivateKey) else None


def private_key_in(document: Mapping[str, object]) -> Secret | None:
    """The private key that GitHub gives once, when it has made an App; None: there is no such key in the answer."""
    value = document.get("pem")
    if not isinstance(value, str) or not value.isascii():
        return None
    key = Secret(value)
    return key if _rsa_key(key) is not None else None


def key_file_content(private_key: Secret) -> bytes:
    """What the App's key file holds."""
    return reveal(private_key).encode()


def proxy_login(login: Secret) -> tuple[str, str]:
    """User and password at the operator's proxy."""
    user, _, password = reveal(login).partition(":")
    return user, password


def authorization(token: Secret) -> dict[str, str]:
    """The header for the REST API."""
    return {"Authorization": f"Bearer {reveal(token)}"}


def git_authorization(token: Secret) -> dict[str, str]:
    """The header for git over HTTP; GitHub takes any user name beside a token."""
    pair = base64.b64encode(f"x-access-token:{reveal(token)}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def login_input(token: Secret) -> bytes:
    """What `gh auth login --with-token` reads on standard input, in `login` mode only."""
    return reveal(token).encode() + b"\n"
