"""The local key is made once, for its owner alone, and refused when others can read it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api import AUDIENCE
from gitward.errors import SettingsError
from gitward.identity.keys import load_or_make_key, mint, public_key
from gitward.identity.verifier import Verifier
from gitward.sessions.model import Owner


def raw(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes_raw()


def test_a_key_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    key = load_or_make_key(tmp_path)
    assert raw(load_or_make_key(tmp_path)) == raw(key)
    [file] = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_of_many_that_begin_at_once_all_have_the_same_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: raw(load_or_make_key(tmp_path)), range(8)))
    assert len(set(keys)) == 1
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o611, 0o777])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    load_or_make_key(tmp_path)
    path = tmp_path / "jwt.key"
    path.chmod(mode)
    with pytest.raises(SettingsError, match=f"others may read this key .mode {mode:04o}.; run: chmod 600 {path}"):
        load_or_make_key(tmp_path)


def pem(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey, passphrase: bytes | None = None) -> bytes:
    encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


@pytest.mark.parametrize(
    "content",
    [b"", b"garbage", pem(ec.generate_private_key(ec.SECP256R1())), pem(Ed25519PrivateKey.generate(), b"passphrase")],
)
def test_a_file_that_holds_no_key_of_ours_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "jwt.key"
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(SettingsError, match="is not an Ed25519 key; remove it"):
        load_or_make_key(tmp_path)


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read or created"):
        load_or_make_key(tmp_path / "nowhere")


async def test_a_minted_token_proves_its_subject(tmp_path: Path) -> None:
    key = load_or_make_key(tmp_path)
    token = mint(key, subject="dev", audience=AUDIENCE)
    owner = (await Verifier(public_key(key), audience=AUDIENCE).identify(f"Bearer {token}")).owner
    assert owner == Owner(issuer="gitward", subject="dev")
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 12 * 3600


def test_a_token_is_minted_for_as_long_as_was_asked(tmp_path: Path) -> None:
    token = mint(load_or_make_key(tmp_path), subject="dev", audience=AUDIENCE, lifetime=timedelta(minutes=1))
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 60


def test_the_umask_does_not_matter(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        load_or_make_key(tmp_path)
    finally:
        os.umask(before)
    assert (tmp_path / "jwt.key").stat().st_mode & 0o777 == 0o600
