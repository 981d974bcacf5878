"""What both ways of signing in ask of an issuer, and the JWT that comes of it."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Any

import httpx2

from gitward.cli.client.account import checked_url
from gitward.cli.client.errors import ClientError, refused, unreachable
from gitward.cli.client.texts import plain
from gitward.errors import Exit

Json = dict[str, Any]


def discover(http: httpx2.Client, issuer: str, names: Sequence[str]) -> dict[str, str]:
    """The addresses that it has for these purposes.

    :raises ClientError: it lacks one, is another issuer, or does not answer.
    """
    found = _json(lambda: http.get(f"{issuer}/.well-known/openid-configuration"), issuer)
    if str(found.get("issuer")).rstrip("/") != issuer:
        raise refused(f"{issuer} says that it is {plain(str(found.get('issuer')))!r}; write the issuer as it does")
    if missing := [name for name in names if not isinstance(found.get(name), str)]:
        raise refused(f"{issuer} has no {missing[0]}; get a JWT from it, and pipe it to `gitward login --with-token`")
    for name in names:
        checked_url(found[name].partition("?")[0])
    return {name: found[name] for name in names}  # as it writes them: some end with a slash, or have a query


def form(http: httpx2.Client, url: str, **fields: str) -> Json:
    """Its JSON, also that of an error: RFC 6749 answers 400 with one."""
    return _json(lambda: http.post(url, data=fields), url)


def _json(ask: Callable[[], httpx2.Response], whom: str) -> Json:
    try:
        answer = ask()
        found = answer.json()
    except httpx2.TransportError as error:
        raise unreachable(f"{whom} does not answer ({type(error).__name__})") from None
    except ValueError:
        raise unreachable(f"{whom} answers {answer.status_code} without JSON") from None
    if not isinstance(found, dict) or (answer.status_code >= 400 and "error" not in found):
        raise unreachable(f"{whom} answers {answer.status_code}")
    return found


def jwt_for(audience: str, answer: Json, issuer: str) -> str:
    """The one of the two that the service takes: it checks the audience, and the signature."""
    for name in ("id_token", "access_token"):
        token = answer.get(name)
        if isinstance(token, str) and audience in _audiences(token):
            return token
    raise ClientError(f"{issuer} issued no JWT for the audience {audience}; see --client-id", exit=Exit.FAILED)


def claims_of(token: str) -> Json:
    """What a JWT says, unchecked: the service checks it. Nothing for what is none."""
    try:
        payload = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, binascii.Error):
        return {}
    return found if isinstance(found, dict) else {}


def _audiences(token: str) -> list[Any]:
    found = claims_of(token).get("aud")
    return found if isinstance(found, list) else [found]
