"""Texts of sandboxes: in sight, bounded, and never more work than their length."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from gitward.sessions.changed_lines import changed_lines
from gitward.web.content.colours import language_of, tokens
from gitward.web.content.diff import files_of, lines_of
from gitward.web.content.markdown import as_html
from gitward.web.content.terminal import LONGEST_LINE, Terminal
from gitward.web.content.visible import one_line, visible
from page_stage import DIFF


def shown(text: str) -> list[list[tuple[str, str]]]:
    return [[(each.classes, each.text) for each in line] for line in Terminal().lines(text)]


def test_what_hides_or_turns_text_is_written_out() -> None:
    assert visible("a\u202eb\u200bc\x07\ufeff") == "a⟨U+202E⟩b⟨U+200B⟩c⟨U+0007⟩⟨U+FEFF⟩"
    assert visible("zalgo" + "\u0301" * 50) == "zalgo" + "\u0301" * 4
    assert visible("schöne 👩‍💻 नमस्ते\n\t") == "schöne 👩‍💻 नमस्ते\n\t"
    assert one_line("a\nb " + "x" * 1000, 10) == "a b xxxxx…"


def test_colours_are_kept_and_all_else_of_a_terminal_is_dropped() -> None:
    assert shown("\x1b[1;31mred\x1b[0m plain") == [[("c-red t-bold", "red"), ("", " plain")]]
    assert shown("\x1b[38;5;196mx\x1b[48;2;0;200;0my") == [[("c-red", "x"), ("c-red b-green", "y")]]
    assert shown("10%\r50%\r100%\r\nnext") == [[("", "100%")], [("", "next")]]
    link = "\x1b]8;;https://evil\x07link\x1b]8;;\x07"
    assert shown(f"{link}\x1b[2J\x1b[5A\x1bP1\x1b\\\x08ok") == [[("", "link"), ("", "ok")]]
    assert shown("\x1b[31mone\ntwo") == [[("c-red", "one")], [("c-red", "two")]]
    assert shown("\x1b[") == [[]]


def test_a_very_long_line_is_cut_and_says_so() -> None:
    (line,) = shown("x" * 10_000)
    assert line == [("", "x" * LONGEST_LINE), ("more", " … 6000 more characters")]


@pytest.mark.parametrize(
    "text",
    ["[x](javascript:alert(1))", "[x](data:text/html;base64,xx)", "![i](https://evil.example/i.png)",
     "<script>x</script>", "<a href='https://evil.example'>x</a>", "<https://evil.example/?q=1>",
     "[a]: javascript:x\n\n[a]",
     "&#60;script&#62;", "```html\n<script>x</script>\n```", "# Big heading", "[a](//evil.example)",
     "[https://good.example](https://evil.example)"],
)  # fmt: skip
def test_markdown_becomes_no_script_no_image_and_no_false_address(text: str) -> None:
    html = str(as_html(text))
    assert not re.search(r"<(?:script|img|iframe|style|h1|h2|svg)", html), html
    for found in re.finditer(r'href="([^"]*)"', html):
        assert found[1].startswith(("https://", "http://")), html
        assert "(evil.example)" in html, html


def test_markdown_is_still_markdown() -> None:
    html = str(as_html("*a* **b** `c`\n\n- one\n- two\n\n| x | y |\n|---|---|\n| 1 | 2 |"))
    for tag in ("<em>a</em>", "<strong>b</strong>", "<code>c</code>", "<li>one</li>", "<td>1</td>"):
        assert tag in html


def test_a_diff_is_split_by_files_that_content_cannot_forge() -> None:
    forged = DIFF.replace(b" VERSION = 3\n", b" diff --git a/x b/x\n VERSION = 3\n").replace(b"-1,6 +1,7", b"-1,7 +1,8")
    files = files_of(forged)
    assert [each.path for each in files] == ["src/app/clock.py", "docs/new name.md", "logo.png"]
    assert [(each.additions, each.deletions) for each in files] == [(3, 2), (2, 0), (0, 0)]
    lines = list(lines_of(forged, files[0], limit=100))
    assert [each.kind for each in lines].count("add") == 3
    assert files[2].is_binary


def test_changed_lines_are_counted_by_headers() -> None:
    counted = changed_lines(b"--- a\n+++ b\n@@ -1,2 +1,3 @@ x\n same\n-old\n+++ new\n+two\n")
    assert (counted.additions, counted.deletions) == (2, 1)


def test_code_is_coloured_and_stays_whole() -> None:
    line = 'def f(x): return "a\\"b" + str(1.5)  # why'
    found = tokens(line, language_of("a.py"))
    assert "".join(each.text for each in found) == line
    assert {each.kind for each in found} == {"", "kw", "str", "num", "com"}


GROWING: dict[str, Callable[[int], object]] = {
    "terminal": lambda n: list(Terminal().lines(("\x1b[" + "9" * 5 + ";") * n)),
    "terminal osc": lambda n: list(Terminal().lines("\x1b]" * n)),
    "terminal returns": lambda n: list(Terminal().lines("\r" * n)),
    "visible": lambda n: visible("\u202e\u0301" * n),
    "brackets": lambda n: as_html("[" * min(n, 16_000)),
    "stars": lambda n: as_html("*a_" * min(n // 3, 5_000)),
    "quotes": lambda n: as_html(">" * min(n, 16_000)),
    "ticks": lambda n: as_html("".join("`" * k + " " for k in range(min(n // 200, 150)))),
    "links": lambda n: as_html("[a](" * min(n // 4, 4_000)),
    "tables": lambda n: as_html("|a" * min(n // 2, 8_000) + "\n" + "|-" * min(n // 2, 8_000)),
    "diff": lambda n: files_of(b"diff --git a/x b/x\n" * n),
    "tokens": lambda n: tokens(("'\\" * 250)[:499], language_of("x.py")),
}


@pytest.mark.parametrize("name", GROWING)
def test_the_worst_text_takes_no_more_than_a_moment(name: str) -> None:
    """CPU time of this thread, so that a busy machine changes little."""
    began = time.thread_time()
    GROWING[name](16_000)
    assert time.thread_time() - began < 0.6
