"""A sign-in under way at the issuer: bound to one browser by a cookie, and kept nowhere else.

State, nonce and PKCE's verifier are derived from the cookie's secret, so strangers who begin sign-ins fill no table.
One cookie serves any number of tabs.
"""

from __future__ import annotations

import base64
import hmac
import json
import time

from gitward.identity.code_flow import Attempt
from gitward.identity.sign_ins import derived, new_secret
from gitward.web.signing_in import paths
from gitward.web.signing_in.cookies import ATTEMPT_SECONDS

MAX_STATE = 1500  # characters


def begin(secret: str, wanted: str) -> Attempt:
    """:param wanted: a path that is safe."""
    told = json.dumps([new_secret()[:16], int(time.time()), wanted])
    payload = base64.urlsafe_b64encode(told.encode()).rstrip(b"=").decode()
    return _attempt(secret, payload)


def resume(secret: str, state: str, *, at: float | None = None) -> tuple[Attempt, str] | None:
    """The attempt with this state, and the path that was wanted; None: this browser did not begin it, or long ago.

    :param at: seconds since 1970; default: now.
    """
    payload = state[:MAX_STATE].partition(".")[0]
    attempt = _attempt(secret, payload)
    if not hmac.compare_digest(attempt.state.encode(), state.encode()):
        return None
    _, began, wanted = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return (attempt, paths.safe(wanted)) if (time.time() if at is None else at) - began < ATTEMPT_SECONDS else None


def _attempt(secret: str, payload: str) -> Attempt:
    return Attempt(
        state=f"{payload}.{derived(secret, f'state:{payload}')}",
        nonce=derived(secret, f"nonce:{payload}"),
        verifier=derived(secret, f"verifier:{payload}"),
    )
