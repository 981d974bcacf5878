"""`scripts/fuzz parsers`: bytes for the broker's parsers, grown by atheris along the code that they reach.

Each target says what must hold of any bytes; one that does not hold ends the run with the bytes that show it.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import atheris  # type: ignore[import-untyped] # in .tools/fuzz only

with atheris.instrument_imports(include=["gitward.broker"]):
    from gitward.broker.policy.egress.client_hello import HelloReader
    from gitward.broker.policy.push import PushReader, check
    from gitward.broker.wire.pktline import MalformedPktLine
    from gitward.broker.wire.target import encode_path, encode_query, parse_path
from gitward.errors import PolicyDenied

from .conftest import BRANCH
from .oracle import beyond_push


def push(data: bytes) -> None:
    """What is let through is, as git reads it, one update of the granted branch; in whatever pieces it comes."""
    verdicts = [_allowed(data, pieces) for pieces in (_whole, _torn)]
    assert verdicts[0] == verdicts[1]
    if verdicts[0]:
        assert beyond_push(data, BRANCH) is None, beyond_push(data, BRANCH)


def _allowed(data: bytes, pieces: Callable[[bytes], Iterator[bytes]]) -> bool | None:
    """None: no verdict."""
    reader = PushReader()
    try:
        for piece in pieces(data):
            reader.feed(piece)
    except MalformedPktLine:
        return None if reader.head is None else check(reader.head, f"refs/heads/{BRANCH}").allowed
    return None if reader.head is None else check(reader.head, f"refs/heads/{BRANCH}").allowed


def hello(data: bytes) -> None:
    """A name, a refusal or nothing yet: the same in whatever pieces it comes."""
    assert _name(data, _whole) == _name(data, _torn)


def _name(data: bytes, pieces: Callable[[bytes], Iterator[bytes]]) -> str | None:
    """What stands behind the hello is refused where the reader sees it; else it is not read before the server's
    answer."""
    reader, rest = HelloReader(), pieces(data)
    try:
        for piece in rest:
            if (name := reader.feed(piece)) is not None:
                return "(refused)" if any(rest) else name
    except PolicyDenied:
        return "(refused)"
    return None


def path(data: bytes) -> None:
    """What is read is written in one way only, which is read as the same; no segment hides another."""
    try:
        segments, query = parse_path(data.decode("latin-1"))
    except PolicyDenied:
        return
    assert not any(segment in {".", ".."} or set(segment) & set("/\\%") for segment in segments)
    written = encode_path(segments) + (f"?{encode_query(query)}" if query else "")
    assert parse_path(written) == (segments, query)


def _whole(data: bytes) -> Iterator[bytes]:
    yield data


def _torn(data: bytes) -> Iterator[bytes]:
    for place in range(len(data)):
        yield data[place : place + 1]


# Something to begin with: from nothing, a right length in hex is long in coming.
_UPDATE = f"{'1' * 40} {'2' * 40} refs/heads/{BRANCH}\0report-status side-band-64k push-options".encode()
SEEDS = {
    push: [b"%04x%b00000000" % (len(_UPDATE) + 4, _UPDATE), b"0000"],
    hello: [
        bytes.fromhex("1603010043010000 3f0303")
        + b"r" * 32
        + bytes.fromhex("00 0002 1301 0100 0014 0000 0010 000e 00 000b")
        + b"example.org"
    ],
    path: [b"/repos/octo/demo/pulls?state=open&page=2", b"/repos/octo/demo/contents/a%20b"],
}
TARGETS = {"push": push, "hello": hello, "path": path}


def main(name: str, seconds: str) -> None:
    target = TARGETS[name]
    print(f"fuzz: the parser of {name}, {seconds} s", flush=True)
    with tempfile.TemporaryDirectory(prefix="gitward-fuzz-") as corpus:
        for number, seed in enumerate(SEEDS[target]):
            (Path(corpus) / str(number)).write_bytes(seed)
        limits = [f"-max_total_time={seconds}", "-max_len=1024", "-print_final_stats=1", "-verbosity=0"]
        atheris.Setup([sys.argv[0], *limits, corpus], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
