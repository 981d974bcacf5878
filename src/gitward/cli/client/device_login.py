"""Signs a person in at the service's issuer from a terminal: OAuth 2.0 Device Authorization Grant (RFC 8628)."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx2

from gitward.cli.client.account import checked_url
from gitward.cli.client.errors import ClientError, unreachable
from gitward.cli.client.issuers import discover, form, jwt_for
from gitward.cli.client.texts import plain
from gitward.errors import Exit

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
        endpoints = discover(http, checked_url(issuer), ("device_authorization_endpoint", "token_endpoint"))
        asked = form(http, endpoints["device_authorization_endpoint"], client_id=client_id, scope="openid")
        try:
            address = str(asked.get("verification_uri_complete") or asked["verification_uri"])
            code, device = str(asked["user_code"]), str(asked["device_code"])
            interval, left = float(asked.get("interval", 5)), float(asked["expires_in"])
        except (KeyError, TypeError, ValueError):
            raise unreachable(f"{issuer} began no sign-in for a device: its answer is incomplete") from None
        checked_url(address.partition("?")[0])
        show(plain(address), plain(code))  # as the issuer writes it, a slash at its end too
        until = time.monotonic() + min(left, _MOST_SECONDS)
        while time.monotonic() < until:
            sleep(max(interval, 1.0))
            answer = form(http, endpoints["token_endpoint"], grant_type=_GRANT, device_code=device, client_id=client_id)
            match answer.get("error"):
                case None:
                    return jwt_for(client_id, answer, issuer)
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
