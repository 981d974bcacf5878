"""The forms in which a token leaves its seal, and what is told of it without telling it."""

from __future__ import annotations

import base64

import pytest

from gitward.github.credentials import app_jwt, authorization, git_authorization, kind_of, login_input
from gitward.secrets import Secret

TOKEN = "ghp_0123456789abcdefghijABCDEFGHIJ012345"


def test_the_forms_in_which_a_token_leaves_its_seal() -> None:
    assert authorization(Secret(TOKEN)) == {"Authorization": f"Bearer {TOKEN}"}
    scheme, _, encoded = git_authorization(Secret(TOKEN))["Authorization"].partition(" ")
    assert (scheme, base64.b64decode(encoded)) == ("Basic", f"x-access-token:{TOKEN}".encode())
    assert login_input(Secret(TOKEN)) == f"{TOKEN}\n".encode()


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (TOKEN, "a classic token"),
        ("0123456789abcdef0123456789abcdef01234567", "a classic token"),
        ("github_pat_11AAAA", "a fine-grained token"),
        ("gho_x", "an OAuth token"),
        ("ghu_x", "a GitHub App's user token"),
        ("ghs_x", "a GitHub App's installation token"),
        ("v1.1f699f1069f60xxx", "a token of unknown kind"),
    ],
)
def test_the_kind_is_told_by_the_prefix(value: str, kind: str) -> None:
    assert kind_of(Secret(value)) == kind


@pytest.mark.parametrize(
    "key", ["", "no key", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"]
)
def test_what_is_no_private_key_is_refused_and_not_quoted(key: str) -> None:
    with pytest.raises(ValueError, match=r"^no RSA private key in PEM$"):
        app_jwt(Secret(key), issuer="1", issued_at=0, expires_at=1)
