"""Which repositories' issues a text closes, in every spelling that GitHub may take."""

from __future__ import annotations

import time

import pytest

from gitward.grants.closing_keywords import closes_elsewhere

ELSEWHERE = (
    *(f"{word} acme/secret#1" for word in ("close", "Closes", "CLOSED", "fix", "Fixes", "fixed", "resolve", "Resolves",
                                           "resolved")),
    "Closes: acme/secret#1",
    "fixes\n\n  acme/secret#1",
    "This is good.Fixes   ACME/Secret#12, and more",
    "closes #1, closes octo/demo#2, closes acme/secret#3",
    "Resolves https://github.com/acme/secret/issues/1",
    "resolve <http://github.com/acme/secret/pull/1#issuecomment-3>",
    "fixed www.github.com/acme/secret/issues/2",
    "fixes github.com:443/acme/secret/issues/2",
    "fix [that](https://github.com/acme/secret/issues/1)",
    "Closes [acme/secret#1](https://example.org)",
    'closes <a href="https://github.com/acme/secret/issues/1">that</a>',
    "<b>closes</b> <i>acme/secret#1</i>",
    "**Closed** **acme/secret#1**",
    "_closes_ acme/secret#1",
    "closes acme/secret\\#1",
    "closes &#97;cme/secret#1",
    "closes&Tab;acme/secret&num;1",
    "closes <!-- nothing --> acme/secret#1",
    "clo<!-- nothing -->ses acme/secret#1",
    "<!-- closes acme/secret#1",
    "clo\u017fes acme/secret#1",  # a long s
    "\ufb01xes acme/secret#1",  # a ligature
    "closes\u200bacme/secret#1",
    "closes acme#3",  # of a fork of that owner
    "closes octo_corp/x.y-z_1#3",
    "closes acme/.github#1",
    "closes acme/_x#1",
    "closes acme/-x#1",
    "closes https://github.com/acme/.github/issues/1",
    f"closes{' ' * 5000}acme/secret#1",
    f"{'x ' * 30000}closes acme/secret#1",
)  # fmt: skip
HERE = (
    "",
    "Closes #1",
    "closes: GH-3",
    "Fixes octo/demo#1",
    "resolves OCTO/Demo#1, see acme/secret#2",
    "Closes https://github.com/octo/demo/issues/4",
    "fixes issue #3, fixes bug#12",
    "See acme/secret#1",
    "This closes a gap of acme/secret#1",
    "Prefixes acme/secret#1 and discloses acme/secret#1",
    "fix-it/app#1",
    "Fixes the build; closes the door.",
    "close acme/secret",
)


@pytest.mark.parametrize("text", ELSEWHERE, ids=lambda text: text[:40])
def test_another_repositorys_issue_is_found(text: str) -> None:
    assert closes_elsewhere(text, "octo/demo") is not None


@pytest.mark.parametrize("text", HERE, ids=lambda text: text[:40])
def test_the_own_issues_may_be_closed(text: str) -> None:
    assert closes_elsewhere(text, "octo/demo") is None


def test_the_reference_is_told() -> None:
    assert closes_elsewhere("Closes: acme/Secret#12x", "octo/demo") == "acme/secret#12"


@pytest.mark.parametrize(
    "unit",
    ["closes.", "closes ", "fix a/", "fixes a.", "close/", "<!--", "<a ", "[", "[](", "&#", "&a", "\\", "<", "\ufb01x ",
     "closes a/b#", "https://a/"],
)  # fmt: skip
def test_the_time_is_linear(unit: str) -> None:
    def cost(length: int) -> float:
        text = unit * (length // len(unit))
        best = float("inf")
        for _ in range(3):
            began = time.process_time()
            closes_elsewhere(text, "octo/demo")
            best = min(best, time.process_time() - began)
        return best

    assert cost(400_000) < 3 * cost(200_000) + 0.005
