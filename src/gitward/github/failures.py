"""What GitHub's refusals mean for a run, with a sentence that says what to do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from gitward.errors import Reason, RunFailure
from gitward.github.limits import is_limited, until, wait_seconds
from gitward.github.retries import PassingFault

RENEW = "make a new token and set GITHUB_TOKEN to it"


def passing(status: int, headers: Mapping[str, str], message: str) -> PassingFault | None:
    """The fault behind an answer that may be another one soon; None when this answer stands.

    Sources: GitHub's documentation, "Rate limits for the REST API", "Best practices for using the REST API".
    """
    if is_limited(status, headers, message):
        return PassingFault(
            Reason.RATE_LIMITED,
            f"GitHub's rate limit is used up{until(headers)}; retry later.",
            cause="GitHub's rate limit is used up",
            wait_seconds=wait_seconds(headers),
            carried_out=False,
        )
    if status >= 500:
        cause = f"GitHub answered {status}"
        return PassingFault(Reason.INTERNAL, f"{cause}; retry when GitHub works again.", cause=cause)
    return None


def refusal(status: int, headers: Mapping[str, str], message: str, *, renew: str = RENEW) -> RunFailure | None:
    """The failure behind an answer that means the same wherever it comes from; None when the caller must decide.

    Sources: GitHub's documentation, "Troubleshooting the REST API", "Authorizing a personal access token for use with
    SAML single sign-on".

    :param headers: with lower-case names.
    :param message: `message` of GitHub's error body, or the text that git was sent.
    :param renew: what a person does about a token that GitHub does not take.
    """
    if status == 401:
        if "expired" in message.lower() or _has_expired(headers):
            return RunFailure(Reason.TOKEN_EXPIRED, f"The token has expired: {renew}.")
        return RunFailure(Reason.TOKEN_REJECTED, f"GitHub rejected the token (401 {message}): {renew}.")
    sso = headers.get("x-github-sso", "")
    if status == 403 and (sso.startswith("required") or "saml" in message.lower()):
        where = sso.partition("url=")[2]
        url = f" at {where}" if where.startswith("https://") else ""
        return RunFailure(
            Reason.SSO_REQUIRED, f"The organization requires single sign-on for this token: authorize it{url}."
        )
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
