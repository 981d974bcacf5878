"""The headers that cross the broker: for requests a list of allowed ones, for answers a list of forbidden ones."""

from __future__ import annotations

from collections.abc import Iterable

from gitward.broker.wire.config import BrokerConfig

# Accept is made anew (`accept.py`). Everything else is left out: credentials and cookies, Forwarded and X-Forwarded-*,
# X-HTTP-Method-Override, hop-by-hop headers, and whatever GitHub may one day give a meaning to.
_REQUEST = frozenset(
    {
        "accept-encoding",
        "accept-language",
        "content-encoding",
        "content-type",
        "git-protocol",
        "graphql-features",
        "if-modified-since",
        "if-none-match",
        "user-agent",
        "x-github-api-version",
    }
)

HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# gh refuses a token whose X-OAuth-Scopes lack read:org; without the header it takes any token. Alt-Svc and
# Strict-Transport-Security speak of the real host, not of the broker.
_RESPONSE = HOP_BY_HOP | {
    "alt-svc",
    "content-length",
    "set-cookie",
    "strict-transport-security",
    "x-accepted-oauth-scopes",
    "x-oauth-client-id",
    "x-oauth-scopes",
}


def request_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """What goes upstream, besides the authorization; the first of a repeated header counts."""
    kept: dict[str, str] = {}
    for name, value in headers:
        if name.lower() in _REQUEST:
            kept.setdefault(name, value)
    return kept


def response_headers(headers: Iterable[tuple[str, str]], config: BrokerConfig) -> list[tuple[str, str]]:
    """What the sandbox gets; a redirect stays only when it leads to the broker again."""
    kept: list[tuple[str, str]] = []
    for name, value in headers:
        if name.lower() == "location":
            location = seen_from_inside(value, config)
            kept.extend([(name, location)] if location else [])
        elif name.lower() == "link":
            kept.append((name, value.replace(f"<{config.upstream_api_url}/", f"<{config.api_url.rstrip('/')}/")))
        elif name.lower() not in _RESPONSE:
            kept.append((name, value))
    return kept


def seen_from_inside(url: str, config: BrokerConfig) -> str | None:
    """The upstream's URL as the sandbox must write it, or None for any other host (its query may be signed)."""
    for upstream, inside in (
        (config.upstream_api_url, config.api_url),
        (config.upstream_url, config.server_url),
        (config.api_url, config.api_url),
        (config.server_url, config.server_url),
    ):
        if url == upstream or url.startswith(upstream + "/"):
            return inside.rstrip("/") + url[len(upstream) :]
    return None
