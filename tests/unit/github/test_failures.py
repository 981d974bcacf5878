"""GitHub's refusals become the reason that applies, with what to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gitward.errors import Reason
from gitward.github.client import Answer, path_of
from gitward.github.failures import expiration, passing, refusal

PAST = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%d %H:%M:%S UTC")
FUTURE = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%d %H:%M:%S UTC")
EXPIRES = "github-authentication-token-expiration"

CASES: list[tuple[int, dict[str, str], str, Reason | None, str]] = [
    (401, {}, "Bad credentials", Reason.TOKEN_REJECTED, "GitHub rejected the token (401 Bad credentials): make a new"),
    (401, {EXPIRES: FUTURE}, "Bad credentials", Reason.TOKEN_REJECTED, "rejected"),
    (401, {EXPIRES: PAST}, "Bad credentials", Reason.TOKEN_EXPIRED, "The token has expired: make a new token"),
    (401, {}, "Token expired", Reason.TOKEN_EXPIRED, "expired"),
    (429, {}, "", Reason.RATE_LIMITED, "GitHub's rate limit is used up; retry later."),
    (429, {"retry-after": "60"}, "", Reason.RATE_LIMITED, "for another 60 s"),
    (403, {"retry-after": "60"}, "You have exceeded a secondary rate limit", Reason.RATE_LIMITED, "another 60 s"),
    (
        403,
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1795435200"},
        "API rate limit exceeded",
        Reason.RATE_LIMITED,
        "until 2026-11-23 12:00 UTC",
    ),
    (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"}, "", Reason.RATE_LIMITED, "used up; retry"),
    (403, {"retry-after": "Wed, 21 Oct"}, "", Reason.RATE_LIMITED, "used up; retry"),
    (
        403,
        {"x-github-sso": "required; url=https://github.com/orgs/acme/sso?x=1"},
        "",
        Reason.SSO_REQUIRED,
        "authorize it at https://github.com/orgs/acme/sso?x=1.",
    ),
    (403, {"x-github-sso": "required; url=javascript:x"}, "", Reason.SSO_REQUIRED, "authorize it."),
    (403, {}, "Resource protected by organization SAML enforcement.", Reason.SSO_REQUIRED, "single sign-on"),
    (403, {"x-github-sso": "partial-results; organizations=1"}, "", None, ""),
    (403, {}, "Resource not accessible by personal access token", None, ""),
    (404, {}, "Not Found", None, ""),
    (200, {}, "", None, ""),
    (422, {"x-ratelimit-remaining": "0"}, "", None, ""),
    (500, {}, "", Reason.INTERNAL, "GitHub answered 500; retry"),
    (503, {}, "", Reason.INTERNAL, "GitHub answered 503"),
]


@pytest.mark.parametrize(("status", "headers", "message", "reason", "sentence"), CASES)
def test_each_refusal_has_its_reason(
    status: int, headers: dict[str, str], message: str, reason: Reason | None, sentence: str
) -> None:
    failure = passing(status, headers, message) or refusal(status, headers, message)
    assert (failure.reason if failure else None) == reason
    assert sentence in (failure.message if failure else "")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-12-01 00:00:00 UTC", datetime(2026, 12, 1, tzinfo=UTC)),
        ("2026-12-01 02:00:00 +0200", datetime(2026, 12, 1, tzinfo=UTC)),
        ("2026-11-30 17:00:00 -0700", datetime(2026, 12, 1, tzinfo=UTC)),
        ("", None),
        ("tomorrow", None),
        ("0001-01-01 00:00:00 +1200", None),
    ],
)
def test_the_end_of_a_token_is_read_in_both_of_github_s_forms(text: str, moment: datetime | None) -> None:
    assert expiration({EXPIRES: text}) == moment


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (None, ""),
        ([], ""),
        ({}, ""),
        ({"message": "Validation Failed"}, "Validation Failed"),
        ({"message": "M", "errors": [{"message": "one"}, {"code": "x"}, "two"]}, "M: one: x: two"),
        (
            {"message": "M", "errors": [{"resource": "Label", "field": "name", "code": "invalid"}]},
            "M: Label name is invalid",
        ),
        ({"errors": [{"field": "head", "code": "missing_field", "value": None}]}, "head is missing field"),
        ({"message": "M", "errors": "text"}, "M: text"),
        ({"message": "x" * 1000}, "x" * 500),
    ],
)
def test_github_s_own_words_are_taken_in_every_form(body: object, message: str) -> None:
    assert Answer(status=422, headers={}, body=body).message == message


def test_paths_are_encoded_part_by_part() -> None:
    assert path_of("o/r", "branches", "a/b?c#d") == "/repos/o/r/branches/a%2Fb%3Fc%23d"
    assert path_of("o/r", "pulls", 1) == "/repos/o/r/pulls/1"
    assert path_of("o/../x", "y") == "/repos/o/..%2Fx/y"
