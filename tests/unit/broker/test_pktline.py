from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitward.broker.wire.pktline import FLUSH, MAX_BAND, MAX_PAYLOAD, MalformedPktLine, PktReader, pkt, sideband

payloads = st.lists(st.one_of(st.none(), st.binary(max_size=300)), max_size=20)


def encoded(lines: list[bytes | None]) -> bytes:
    return b"".join(FLUSH if line is None else pkt(line) for line in lines)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The data in pieces; `places` may be anything."""
    marks = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(marks)]


@given(payloads, st.lists(st.integers(min_value=0), max_size=30), st.binary(max_size=3))
def test_any_split_gives_the_same_lines(lines: list[bytes | None], places: list[int], behind: bytes) -> None:
    reader = PktReader()
    seen: list[bytes | None] = []
    for piece in cut(encoded(lines) + behind, places):
        reader.feed(piece)
        seen.extend(reader)
    assert seen == lines
    assert reader.rest == behind


@pytest.mark.parametrize(
    "data", [b"zzzz", b"0x10", b"+123", b" 004", b"00_4", b"0001", b"0002", b"0003", b"fff1", b"ffff", b"\0\0\0\0"]
)
def test_a_length_without_meaning_is_refused(data: bytes) -> None:
    reader = PktReader()
    reader.feed(data)
    with pytest.raises(MalformedPktLine):
        list(reader)


def test_the_longest_line() -> None:
    reader = PktReader()
    reader.feed(pkt(b"x" * MAX_PAYLOAD))
    assert list(reader) == [b"x" * MAX_PAYLOAD]
    with pytest.raises(ValueError, match="65517 bytes"):
        pkt(b"x" * (MAX_PAYLOAD + 1))


@given(st.binary(max_size=3 * MAX_BAND))
def test_a_band_holds_any_amount(data: bytes) -> None:
    reader = PktReader()
    reader.feed(sideband(1, data))
    lines = list(reader)
    assert b"".join(line[1:] for line in lines if line) == data
    assert all(line and line[0] == 1 for line in lines)
