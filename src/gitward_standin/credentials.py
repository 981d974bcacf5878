"""Reads the token from a request, as GitHub's git and API hosts do."""

from __future__ import annotations

import base64
import binascii
from enum import Enum

from gitward_standin.accounts import Accounts, Identity


class Unknown(Enum):
    """Credentials were sent, but no valid token is among them."""

    UNKNOWN = "unknown"


UNKNOWN = Unknown.UNKNOWN


def identify(accounts: Accounts, authorization: str | None, *, git: bool) -> Identity | Unknown | None:
    """Who sends this Authorization header; None when there is none, UNKNOWN when it holds no valid token.

    API: `token X`, `Bearer X` or Basic. Git: Basic only, with any user name and the token as the password, or
    the token as the user name.
    """
    if authorization is None:
        return None
    scheme, _, rest = authorization.strip().partition(" ")
    if scheme.lower() == "basic":
        candidates = _basic(rest.strip())
    elif scheme.lower() in ("token", "bearer") and not git:
        candidates = (rest.strip(),)
    else:
        candidates = ()
    found = (accounts.identify(candidate) for candidate in candidates)
    return next((identity for identity in found if identity is not None), UNKNOWN)


def _basic(encoded: str) -> tuple[str, ...]:
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ()
    user, _, password = text.partition(":")
    return (password, user) if password in ("", "x-oauth-basic") else (password,)
