"""Which issues the messages of commits close, and in which encodings they can be read."""

from __future__ import annotations

import pytest

from gitward.grants.inspection import BadPack
from gitward.repositories.pack_inspection.commit_messages import closings_in, closings_of

HEADER = b"tree " + b"1" * 40 + b"\nauthor A <a@example.org> 0 +0000\ncommitter A <a@example.org> 0 +0000"


def commit(message: bytes, encoding: bytes | None = None) -> bytes:
    return HEADER + (b"" if encoding is None else b"\nencoding " + encoding) + b"\n\n" + message


@pytest.mark.parametrize("encoding", [None, b"UTF-8", b"utf8", b"ISO-8859-1", b"latin1", b"windows-1252", b"EUC-JP"])
def test_a_message_is_read(encoding: bytes | None) -> None:
    assert closings_of(commit("Für Fixes acme/secret#1".encode("latin-1"), encoding)) == {
        "acme/secret": "acme/secret#1"
    }
    assert closings_of(commit(b"Words. encoding UTF-16", encoding)) == {}


@pytest.mark.parametrize(
    ("message", "encoding"),
    [
        (b"Fi\x1b(Bxes acme/secret#1", b"ISO-2022-JP"),
        (b"\x1b$)CFi\x0fxes acme/secret#1", b"ISO-2022-KR"),
        ("Fixes acme/secret#1".encode("utf-16-le"), b"UTF-16LE"),
        ("Fixes acme/secret#1".encode("utf-7"), b"UTF7"),
        ("Fixes acme/secret#1".encode("cp037"), b"IBM037"),
        (b"\x83\x41Fixes acme/secret#1", b"Shift_JIS"),  # a letter of ASCII is half a character there
        (b"words", b"nobody's"),
        (b"words", b"UTF-8\nencoding UTF-16"),
        ("Fixes acme/secret#1".encode("utf-16"), None),
    ],
)
def test_a_message_that_others_may_read_in_another_way_is_refused(message: bytes, encoding: bytes | None) -> None:
    with pytest.raises(BadPack, match=r"must (be in UTF-8|not have a NUL)"):
        closings_of(commit(message, encoding))


def test_a_message_alone_has_no_headers() -> None:
    assert closings_in(b"Words on one more\nencoding UTF-16 of texts\n\nFixes a/b#1") == {"a/b": "a/b#1"}


@pytest.mark.parametrize("message", [b"Fi\x1b(Bxes a/b#1", b"Fi\xffxes a/b#1", b"\x1b$)CFi\x0fxes a/b#1"])
def test_a_message_is_read_as_one_may_guess_it_too(message: bytes) -> None:
    assert closings_of(commit(message)) == {"a/b": "a/b#1"}
