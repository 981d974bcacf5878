"""What GitHub's refusals mean for a run, with a sentence that says what to do."""

from __future__ import annotations

from collections.abc import Mapping

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
        return RunFailure(Reason.TOKEN_REJECTED, f"GitHub rejected the token (401 {message}): {RENEW}.")
    if status == 429 or (status == 403 and _is_rate_limit(headers, message)):
        return RunFailure(Reason.RATE_LIMITED, f"GitHub's rate limit is used up{_until(headers)}; retry later.")
    sso = headers.get("x-github-sso", "")
    if status == 403 and sso.startswith("required"):
        where = sso.partition("url=")[2]
        url = f" at {where}" if where.startswith("https://") else ""
        return RunFailure(
            Reason.SSO_REQUIRED, f"The organization wants single sign-on for this token: authorize it{url}."
        )
    if status >= 500:
        return RunFailure(Reason.INTERNAL, f"GitHub answered {status}; retry when it is well again.")
    return None


def _is_rate_limit(headers: Mapping[str, str], message: str) -> bool:
    return headers.get("x-ratelimit-remaining") == "0" or "retry-after" in headers or "rate limit" in message.lower()


def _until(headers: Mapping[str, str]) -> str:
    after = headers.get("retry-after", "")
    return f" for another {after} s" if after.isdigit() else ""
