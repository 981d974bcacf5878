"""The TLS hello, as real clients send it and as hostile ones would."""

from __future__ import annotations

import itertools
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitward.broker.policy.egress.client_hello import HelloReader
from gitward.errors import PolicyDenied


def hello_of(name: str | None) -> bytes:
    """What OpenSSL sends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    out = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name).do_handshake()
    return out.read()


REAL = hello_of("pypi.org")


def block(size: int, data: bytes) -> bytes:
    return len(data).to_bytes(size) + data


def extension(kind: int, data: bytes) -> bytes:
    return kind.to_bytes(2) + block(2, data)


def names(*hosts: bytes, kind: int = 0) -> bytes:
    return extension(0, block(2, b"".join(bytes([kind]) + block(2, host) for host in hosts)))


def record(data: bytes, kind: int = 22) -> bytes:
    return bytes([kind, 3, 1]) + block(2, data)


def message(*extensions: bytes) -> bytes:
    body = b"\x03\x03" + b"r" * 32 + block(1, b"") + block(2, b"\x13\x01") + block(1, b"\0")
    body += block(2, b"".join(extensions)) if extensions else b""
    return b"\x01" + block(3, body)


def read(data: bytes) -> str | None:
    return HelloReader().feed(data)


def refused(data: bytes) -> str:
    with pytest.raises(PolicyDenied) as raised:
        read(data)
    return raised.value.rule


def test_a_real_hello() -> None:
    assert read(REAL) == "pypi.org"
    assert read(hello_of("PyPI.org")) == "pypi.org"


@pytest.mark.parametrize(
    "data",
    [
        REAL + b"and what comes with it",
        REAL + bytes((20, 3, 3, 0, 1, 1)) + hello_of("evil.example"),
        REAL + hello_of("evil.example")[:-1],
        record(message(names(b"pypi.org")) + message(names(b"evil.example"))),
    ],
)
def test_nothing_stands_behind_a_hello(data: bytes) -> None:
    """A server that wants another hello would take it for that."""
    assert refused(data) == "egress.tls"


def test_the_builder_of_these_tests_makes_what_is_taken() -> None:
    assert read(record(message(names(b"pypi.org")))) == "pypi.org"


@given(cuts=st.lists(st.integers(0, len(REAL)), max_size=20))
def test_pieces_do_not_matter(cuts: list[int]) -> None:
    reader = HelloReader()
    edges = [0, *sorted(cuts), len(REAL)]
    answers = [reader.feed(REAL[start:end]) for start, end in itertools.pairwise(edges)]
    assert [answer for answer in answers if answer is not None][:1] == ["pypi.org"]


@given(size=st.integers(1, 600))
def test_records_do_not_matter(size: int) -> None:
    whole = message(names(b"pypi.org"), extension(21, bytes(500)))
    parts = b"".join(record(whole[start : start + size]) for start in range(0, len(whole), size))
    assert read(parts) == "pypi.org"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(record(message()), id="no extensions"),
        pytest.param(record(message(extension(10, b""))), id="no server name"),
        pytest.param(record(message(names(b"pypi.org"), extension(0xFE0D, b"x"))), id="encrypted hello"),
        pytest.param(record(message(names(b"pypi.org"), extension(0xFFCE, b"x"))), id="its draft"),
    ],
)
def test_a_name_must_be_there_and_readable(data: bytes) -> None:
    assert refused(data) == "egress.sni"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"G", id="the first letter of GET"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="http"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="ssh"),
        pytest.param(b"\x80\x2e\x01\x03\x01", id="SSL 2"),
        pytest.param(record(b"\x01\x00", kind=23), id="application data"),
        pytest.param(b"\x16\x04\x01\x00\x05", id="another version"),
        pytest.param(b"\x16\x03\x01\x00\x00", id="an empty record"),
        pytest.param(b"\x16\x03\x01\x50\x00", id="a record that is too long"),
        pytest.param(record(b"\x02" + block(3, b"x" * 40)), id="a server's hello"),
        pytest.param(record(b"\x01\xff\xff\xff"), id="a message of 16 MB"),
        pytest.param(record(b"\x01\x00")[:-2] + b"\x01\x00" + record(b"\0", kind=21), id="an alert in the middle"),
        pytest.param(record(b"\x01" + block(3, b"\x03\x03")), id="cut short"),
        pytest.param(record(message(names(b"pypi.org"), names(b"evil.example"))), id="the extension twice"),
        pytest.param(record(message(names(b"pypi.org", b"evil.example"))), id="two names"),
        pytest.param(record(message(names(b"pypi.org", kind=1))), id="another kind of name"),
        pytest.param(record(message(names(b"pyp\xef.org"))), id="not ASCII"),
        pytest.param(record(message(names(b"pypi.org"), b"\0")), id="half an extension"),
        pytest.param(record(message(extension(0, b""))), id="an empty extension"),
    ],
)
def test_what_is_no_hello(data: bytes) -> None:
    assert refused(data) == "egress.tls"


@given(st.binary(max_size=400))
def test_garbage_is_refused_or_waited_for(data: bytes) -> None:
    """Nothing else is raised, and no name comes out of it."""
    for sent in (data, record(data) if data else b"", record(b"\x01" + block(3, data))):
        try:
            assert read(sent) is None
        except PolicyDenied as error:
            assert error.rule.startswith("egress.")  # noqa: PT017 - garbage may be waited for, too
