"""What comes out of a sandbox does nothing to the terminal that shows it."""

from __future__ import annotations

import pytest

from gitward.cli.client.texts import coloured, one_line, plain

HOSTILE = [
    "\x1b]0;owned\x07",  # the window's title
    "\x1b]52;c;cm0gLXJmIH4=\x07",  # the clipboard
    "\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "\x1bP$q\x1b\\",  # asks the terminal, which answers as the keyboard
    "\x1b[2J\x1b[H",
    "\x1b[1A\x1b[2K",
    "\x1b[?1049h",
    "\x9b31m",
    "\x1bc",
    "\x1b(0",
    "\x08\x08\x08",
    "\u202ereversed",
    "\u200b",
    "\x1b]never ends",
    "\x1b",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_control_comes_through(text: str) -> None:
    for shown in (plain(f"a{text}b"), coloured(f"a{text}b")):
        assert shown.startswith("a")
        assert all(each in "\n\t" or each.isprintable() for each in shown)


def test_only_colours_are_kept_and_they_end_with_the_text() -> None:
    assert coloured("\x1b[1;31mred\x1b[2K") == "\x1b[1;31mred\x1b[0m"
    assert plain("\x1b[1;31mred\x1b[0m") == "red"


def test_a_progress_bar_shows_each_of_its_states() -> None:
    assert plain("10%\r50%\r\ndone") == "10%\n50%\ndone"


def test_a_line_is_shortened() -> None:
    assert one_line("first  line\nsecond", 80) == "first line"
    assert one_line("x" * 100, 10) == "xxxxxxxxx…"


def test_a_long_hostile_text_takes_no_time() -> None:
    assert len(plain("\x1b]" * 200_000 + "\x1b[" * 200_000)) < 400_000
