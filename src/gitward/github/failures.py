"""What GitHub's refusals mean for a run, with a sentence that says what to do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from gitward.errors import Reason, RunFailure

RENEW = "make a new token and set GITHUB_TOKEN to it"


def refusal(status: int, headers: Mapping[str, str], message: str) -> RunFailure | None:
    """The failure behind an answer that means the same wherever it comes from; None when the caller must decide.

    Sources: GitHub's documentation, "Troubleshooting the REST API", "Rate limits for the REST API",
    "Authorizing a personal access token for use with SAML single sign-on".

    :param headers: with lower-case names.
    :param message: `message` of GitHub's error body, or the text that git was sent.
    """
    if status == 401:
        if "expired" in message.lower() or _has_expired(headers):
            return RunFailure(Reason.TOKEN_EXPIRED, f"The token has expired: {RENEW}.")
        return RunFailure(Reason.TOKEN_REJECTED, f"GitHub rejected the token (401 {message}): {RENEW}.")
    if status == 429 or (status == 403 and _is_rate_limit(headers, message)):
        return RunFailure(Reason.RATE_LIMITED, f"GitHub's rate limit is used up{_until(headers)}; retry later.")
    sso = headers.get("x-github-sso", "")
    if status == 403 and (sso.startswith("required") or "saml" in message.lower()):
        where = sso.partition("url=")[2]
        url = f" at {where}" if where.startswith("https://") else ""
        return RunFailure(
            Reason.SSO_REQUIRED, f"The organization wants single sign-on for this token: authorize it{url}."
        )
    if status >= 500:
        return RunFailure(Reason.INTERNAL, f"GitHub answered {status}; retry when it is well again.")
    return None


def expiration(headers: Mapping[str, str]) -> datetime | None:
    """When the token ends, as GitHub tells it: `2026-12-01 00:00:00 UTC`, or with a numeric zone."""
    text = headers.get("github-authentication-token-expiration", "").replace("UTC", "+0000")
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S %z").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _has_expired(headers: Mapping[str, str]) -> bool:
    expires = expiration(headers)
    return expires is not None and expires <= datetime.now(UTC)


def _is_rate_limit(headers: Mapping[str, str], message: str) -> bool:
    return headers.get("x-ratelimit-remaining") == "0" or "retry-after" in headers or "rate limit" in message.lower()


def _until(headers: Mapping[str, str]) -> str:
    """How long it lasts: `Retry-After` of the secondary limits, `X-RateLimit-Reset` of the primary one."""
    after, reset = headers.get("retry-after", ""), headers.get("x-ratelimit-reset", "")
    if _is_number(after):
        return f" for another {after} s"
    if headers.get("x-ratelimit-remaining") == "0" and _is_number(reset):
        return f" until {datetime.fromtimestamp(int(reset), UTC):%Y-%m-%d %H:%M} UTC"
    return ""


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10
