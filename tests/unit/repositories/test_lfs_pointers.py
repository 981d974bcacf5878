"""What is a pointer, and what only looks like one."""

from __future__ import annotations

import pytest

from gitward.repositories.lfs.pointers import Pointer, in_batch, parse

OID = "ab" * 32
TEXT = f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize 12\n".encode()


def test_a_pointer_is_read_as_it_is_written() -> None:
    pointer = parse(TEXT)
    assert pointer == Pointer(oid=OID, size=12)
    assert pointer.text == TEXT
    assert pointer.path == f"objects/ab/ab/{OID}"


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace(b"git-lfs.github.com/spec/v1", b"hawser.github.com/spec/v1"),
        TEXT.replace(b"oid", b"ext-0-foo sha256:" + b"0" * 64 + b"\noid"),
        TEXT.replace(b"\n", b"\r\n"),
        TEXT.rstrip(),
    ],
)
def test_older_and_odd_pointers_are_pointers_too(text: bytes) -> None:
    assert parse(text) == Pointer(oid=OID, size=12)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"version https://git-lfs.github.com/spec/v1\n",
        TEXT.replace(b"size 12", b"size 0"),
        TEXT.replace(b"size 12", b"size -1"),
        TEXT.replace(b"sha256", b"sha512"),
        TEXT.replace(b"ab", b"AB"),
        b"x" + TEXT,
        TEXT + b"more\n",
        TEXT + b"\n" * 1024,
    ],
)
def test_anything_else_is_none(text: bytes) -> None:
    assert parse(text) is None


def test_pointers_among_the_blobs_that_git_prints() -> None:
    output = b"".join(b"%s blob %d\n%s\n" % (b"1" * 40, len(text), text) for text in (b"a\nb", TEXT, b""))
    assert list(in_batch(output + b"2" * 40 + b" tree 3\nabc\n")) == [Pointer(oid=OID, size=12)]
