"""The only module of the broker that opens the sealed token: to send it to the child, and to authenticate upstream."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable

from gitward.secrets import Secret, reveal


def handover(token: Secret) -> str:
    """What the worker writes to the child's channel; `Secret(...)` of it is the token again."""
    return reveal(token)


def git_authorization(token: Secret) -> str:
    """GitHub takes any user name with a token; this one is documented for every kind of token."""
    return "Basic " + base64.b64encode(b"x-access-token:" + reveal(token).encode()).decode()


def api_authorization(token: Secret) -> str:
    return "Bearer " + reveal(token)


def proxy_authorization(login: Secret) -> str:
    """For the operator's proxy; `login` is "user:password"."""
    return "Basic " + base64.b64encode(reveal(login).encode()).decode()


def injected_value(prefix: str, secret: Secret) -> str:
    """What a header of GITWARD_INJECT carries."""
    return prefix + reveal(secret)


def is_one_of(presented: bytes, accepted: Iterable[Secret]) -> bool:
    """Whether the presented credential is accepted, in time that does not depend on where it differs."""
    results = [hmac.compare_digest(presented, reveal(secret).encode()) for secret in accepted]
    return any(results)
