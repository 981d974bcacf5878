"""The local signing key, created in the data folder at the first start, for machines without an OpenID issuer."""

from __future__ import annotations

import os
import secrets
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gitward.errors import SettingsError

ALGORITHM = "EdDSA"
LOCAL_ISSUER = "gitward"
DEFAULT_LIFETIME = timedelta(hours=12)
_FILE = "jwt.key"


def load_or_make_key(data_dir: Path) -> Ed25519PrivateKey:
    """The key in the data folder; made (PEM, 0600) when there is none. Safe when two processes begin at once.

    :raises SettingsError: others may read the file, or it holds no Ed25519 key.
    """
    path = data_dir / _FILE
    try:
        if not path.exists():
            _write_new(path)
        mode = stat.S_IMODE(path.stat().st_mode)
        content = path.read_bytes()
    except OSError as error:
        raise SettingsError([f"{path}: cannot be read or created: {error.strerror}"]) from None
    if mode & 0o077:
        raise SettingsError([f"{path}: others may read this key (mode {mode:04o}); run: chmod 600 {path}"])
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it has a passphrase
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError([f"{path}: is not an Ed25519 key; remove it, and the next start creates a new one"])
    return key


def _write_new(path: Path) -> None:
    """Writes aside and links into place, so that nobody ever reads half a key and the first writer wins."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    aside = path.with_name(f".{_FILE}.{secrets.token_hex(8)}")
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(pem)
        try:
            os.link(aside, path)
        except FileExistsError:
            return
    finally:
        aside.unlink()


def mint(key: Ed25519PrivateKey, *, subject: str, audience: str, lifetime: timedelta = DEFAULT_LIFETIME) -> str:
    """A JWT of the local issuer."""
    at = datetime.now(UTC)
    claims = {"iss": LOCAL_ISSUER, "sub": subject, "aud": audience, "iat": at, "nbf": at, "exp": at + lifetime}
    return jwt.encode(claims, key, algorithm=ALGORITHM)


def public_key(key: Ed25519PrivateKey) -> Ed25519PublicKey:
    return key.public_key()
