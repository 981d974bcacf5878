"""`no-thin` is added to what upstream advertises, wherever the stream is cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitward.broker.wire.advertisement import NoThin
from gitward.broker.wire.pktline import FLUSH, MAX_PAYLOAD, pkt

REF = b"1" * 40 + b" refs/heads/main"
HEAD = pkt(b"# service=git-receive-pack\n") + FLUSH
REST = pkt(b"2" * 40 + b" refs/heads/other\n") + FLUSH
VERSION = pkt(b"version 1\n")
NONE = b"0" * 40 + b" capabilities^{}"


def edited(*pieces: bytes) -> bytes:
    edit = NoThin()
    return b"".join([*map(edit.feed, pieces), edit.end()])


@pytest.mark.parametrize("before", [HEAD, HEAD + VERSION])
@pytest.mark.parametrize("ref", [REF, NONE])
@pytest.mark.parametrize("end", [b"\n", b""])
def test_the_first_refs_capabilities_grow(before: bytes, ref: bytes, end: bytes) -> None:
    data = before + pkt(ref + b"\0report-status atomic" + end) + REST
    assert edited(data) == before + pkt(ref + b"\0report-status atomic no-thin" + end) + REST


@given(st.lists(st.integers(0, 250), max_size=6))
def test_wherever_the_stream_is_cut(places: list[int]) -> None:
    data = HEAD + pkt(REF + b"\0report-status\n") + REST
    cuts = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    pieces = [data[start:end] for start, end in itertools.pairwise(cuts)]
    assert edited(*pieces) == edited(data)


@pytest.mark.parametrize(
    "data",
    [b"", b"<html>", HEAD, HEAD + b"00", b"\x1f\x8b\x08", HEAD + pkt(REF + b"\0" + b"x" * (MAX_PAYLOAD - 60))],
)
def test_what_it_does_not_understand_passes(data: bytes) -> None:
    assert edited(data) == data
