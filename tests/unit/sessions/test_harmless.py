"""Texts of others in what GitHub shows."""

from __future__ import annotations

import pytest

from gitward.sessions.harmless import harmless, quoted

CALLS = [
    "@octocat",
    "(@octo-org/team)",
    "Fixes #12",
    "closes octo/other#3",
    "resolves GH-7",
    "fixes https://github.com/octo/other/issues/9",
    "see https://github.com/octo/other/pull/9",
    "<!-- hides what follows",
    "<details><summary>",
    '<img src="https://example.com/1.png">',
]
PLAIN = ["a # b", "mail@", "@ me", "C# and F#", "a < b <= 3", "#heading", "/issues/new", "x@", "GH-x"]


@pytest.mark.parametrize("text", CALLS)
def test_what_would_call_link_close_or_hide_reads_the_same_and_does_nothing(text: str) -> None:
    shown = harmless(text)
    assert shown != text
    assert shown.replace("\u200b", "") == text
    assert harmless(shown) == shown


@pytest.mark.parametrize("text", PLAIN)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert harmless(text) == text


def test_a_quotation_holds_what_never_ends() -> None:
    """A fence that is not closed ends with its quotation."""
    assert quoted("a\n\n```\nb\r\nc") == "> a\n>\n> ```\n> b\n> c"
