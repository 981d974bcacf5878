"""The headers that cross the broker to and from a host with an injected secret."""

from __future__ import annotations

from collections.abc import Iterable

from multidict import CIMultiDict

from gitward.broker.policy.headers import HOP_BY_HOP

# The host is the operator's account there. With a credential of its own a command could use another one, and so send
# away what it reads.
_CREDENTIALS = frozenset({"authorization", "x-api-key", "api-key", "x-goog-api-key", "x-auth-token", "cookie"})
# A part of an answer could hold a part of the secret, which nobody would recognize.
_OURS = frozenset({"host", "content-length", "expect", "accept-encoding", "forwarded", "range", "if-range"})
# By these some servers take another path or method than the request's own.
_OVERRIDES = frozenset(
    {"x-http-method", "x-http-method-override", "x-method-override", "x-original-url", "x-rewrite-url"}
)
_ANSWER = HOP_BY_HOP | {"alt-svc", "content-length", "set-cookie", "strict-transport-security"}


def request_headers(headers: Iterable[tuple[str, str]], *, injected: Iterable[str]) -> CIMultiDict[str]:
    """What goes on beside the secrets, in the order in which it came."""
    pairs = list(headers)
    dropped = HOP_BY_HOP | _CREDENTIALS | _OURS | _OVERRIDES | set(injected) | _nominated(pairs)
    kept = CIMultiDict[str]()
    for name, value in pairs:
        # Some servers take an underscore for a hyphen.
        plain = name.lower().replace("_", "-")
        if plain not in dropped and not plain.startswith("x-forwarded-"):
            kept.add(name, value)
    return kept


def answer_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    pairs = list(headers)
    dropped = _ANSWER | _nominated(pairs)
    return [(name, value) for name, value in pairs if name.lower() not in dropped]


def _nominated(pairs: Iterable[tuple[str, str]]) -> set[str]:
    """Headers that Connection makes the connection's own."""
    values = [value for name, value in pairs if name.lower() == "connection"]
    return {part.strip().lower() for value in values for part in value.split(",")}
