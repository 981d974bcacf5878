"""Lines of a program: bounded in length and in the work of who parses them."""

from __future__ import annotations

import json
import time

from gitward.agents.lines import MAX_LINE, MAX_PARTS, Lines, Skipped, parse
from machine import slowness


def fed(*pieces: bytes) -> tuple[list[bytes], Skipped]:
    skipped = Skipped()
    lines = Lines(skipped)
    return [line for piece in pieces for line in lines.feed(piece)], skipped


def test_lines_are_cut_wherever_pieces_end() -> None:
    stream = b'{"a": 1}\n\n {"b": 2} \r\n{"c"'
    whole, _ = fed(stream)
    assert whole == [b'{"a": 1}', b'{"b": 2}']
    assert fed(*(bytes([each]) for each in stream))[0] == whole


def test_a_line_that_is_too_long_is_skipped_and_never_held() -> None:
    skipped = Skipped()
    lines = Lines(skipped)
    for _ in range(64):
        assert lines.feed(b"x" * 1024 * 1024) == []
        assert len(lines._held) <= MAX_LINE
    assert lines.feed(b"x\n{}\n") == [b"{}"]
    assert skipped.too_long == 1


def test_the_longest_line_is_taken() -> None:
    longest = b"x" * MAX_LINE
    lines, skipped = fed(longest + b"\n", longest + b"x\n", b"y\n")
    assert (lines, skipped.too_long) == ([longest, b"y"], 1)


def test_only_objects_are_taken() -> None:
    skipped = Skipped()
    assert parse(b'{"a": [1]}', skipped) == {"a": [1]}
    wrong = [
        b"npm warn",
        b"[]",
        b"7",
        b"null",
        b'"a"',
        b"{",
        b'{"a": \xff}',
        b"1" * 5000,
        b"[" * 90_000,
        b'{"a":' * 50_000,
    ]
    assert [parse(line, skipped) for line in wrong] == [None] * len(wrong)
    assert (skipped.not_json, skipped.total) == (len(wrong), len(wrong))


def test_what_would_be_dear_to_parse_is_not_parsed() -> None:
    """A parser holds the loop for as long as it has values to make: 4 MiB of `{}` would be a quarter of a second."""
    skipped = Skipped()
    dear = [
        b'{"a": [%s]}' % (b"{}," * (MAX_LINE // 3 - 10) + b"0"),
        b"{%s}" % b",".join(b'"%d":0' % n for n in range(300_000)),
    ]
    began = time.process_time()
    assert [parse(line, skipped) for line in dear] == [None, None]
    assert time.process_time() - began < 0.1 * slowness()
    assert skipped.too_dense == 2
    text = json.dumps({"text": "a, b: {c} " * 1000}).encode()
    assert parse(text, skipped) is not None


def test_the_dearest_line_that_is_parsed_does_not_hold_the_loop() -> None:
    line = b"{%s}" % b",".join(b'"%d":0' % n for n in range(MAX_PARTS - 10))
    best = min(_seconds(line) for _ in range(3))
    assert best < 0.1 * slowness()


def _seconds(line: bytes) -> float:
    began = time.process_time()
    assert parse(line, Skipped()) is not None
    return time.process_time() - began
