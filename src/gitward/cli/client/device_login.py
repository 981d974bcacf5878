"""Signs a person in at the service's issuer from a terminal: OAuth 2.0 Device Authorization Grant (RFC 8628)."""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Callable
from typing import Any

import httpx2

from gitward.cli.client.account import checked_url
from gitward.cli.client.errors import ClientError, refused, unreachable
from gitward.cli.client.texts import plain
from gitward.errors import Exit

Json = dict[str, Any]
Show = Callable[[str, str], None]  # the address to visit, and the code to enter there
_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_MOST_SECONDS = 15 * 60.0  # whatever the issuer allows
_SLOWER_SECONDS = 5.0  # RFC 8628, section 3.5


def sign_in(
    issuer: str,
    *,
    client_id: str,
    show: Show,
    sleep: Callable[[float], None] = time.sleep,
    transport: httpx2.BaseTransport | None = None,
) -> str:
    """A JWT for `client_id`, once the person has agreed in a browser.

    :raises ClientError: the issuer has no such flow, refuses, or does not answer.
    """
    with httpx2.Client(timeout=30.0, follow_redirects=False, transport=transport) as http:
        endpoints = _discover(http, checked_url(issuer))
        asked = _form(http, endpoints["device_authorization_endpoint"], client_id=client_id, scope="openid")
        try:
            address = str(asked.get("verification_uri_complete") or asked["verification_uri"])
            code, device = str(asked["user_code"]), str(asked["device_code"])
            interval, left = float(asked.get("interval", 5)), float(asked["expires_in"])
        except (KeyError, TypeError, ValueError):
            raise unreachable(f"{issuer} began no sign-in for a device: its answer is incomplete") from None
        show(checked_url(address.partition("?")[0]) + address[len(address.partition("?")[0]) :], plain(code))
        until = time.monotonic() + min(left, _MOST_SECONDS)
        while time.monotonic() < until:
            sleep(max(interval, 1.0))
            answer = _form(
                http, endpoints["token_endpoint"], grant_type=_GRANT, device_code=device, client_id=client_id
            )
            match answer.get("error"):
                case None:
                    return _jwt_for(client_id, answer, issuer)
                case "authorization_pending":
                    pass
                case "slow_down":
                    interval += _SLOWER_SECONDS
                case "access_denied":
                    raise ClientError("the sign-in was refused in the browser", exit=Exit.FAILED)
                case other:
                    why = plain(str(answer.get("error_description") or other))
                    raise ClientError(f"{issuer} ended the sign-in: {why}", exit=Exit.FAILED)
        raise ClientError("nobody agreed in time; run `gitward login` again", exit=Exit.FAILED)


def _discover(http: httpx2.Client, issuer: str) -> dict[str, str]:
    found = _json(lambda: http.get(f"{issuer}/.well-known/openid-configuration"), issuer)
    if str(found.get("issuer")).rstrip("/") != issuer:
        raise refused(f"{issuer} says that it is {plain(str(found.get('issuer')))!r}; write the issuer as it does")
    names = ("device_authorization_endpoint", "token_endpoint")
    if missing := [name for name in names if not isinstance(found.get(name), str)]:
        raise refused(f"{issuer} has no {missing[0]}; get a JWT from it, and pipe it to `gitward login --with-token`")
    return {name: checked_url(found[name]) for name in names}


def _form(http: httpx2.Client, url: str, **fields: str) -> Json:
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


def _jwt_for(audience: str, answer: Json, issuer: str) -> str:
    """The one of the two that the service takes: it checks the audience, and the signature."""
    for name in ("id_token", "access_token"):
        token = answer.get(name)
        if isinstance(token, str) and audience in _audiences(token):
            return token
    raise ClientError(f"{issuer} issued no JWT for the audience {audience}; see --client-id", exit=Exit.FAILED)


def _audiences(token: str) -> list[Any]:
    try:
        payload = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["aud"]
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        return []
    return found if isinstance(found, list) else [found]
