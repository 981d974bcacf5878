"""Reads the server name from the first message of a TLS client (RFC 8446, RFC 6066)."""

from __future__ import annotations

from gitward.errors import PolicyDenied

MAX_HELLO = 16 * 1024  # bytes; with post-quantum key shares it is near 2,000
_HANDSHAKE, _CLIENT_HELLO = 22, 1
_MAX_RECORD = 16 * 1024
_CHANGE_CIPHER_SPEC = bytes((20, 3, 3, 0, 1, 1))  # a whole record
_SERVER_NAME = 0
_ENCRYPTED = frozenset({0xFE0D, 0xFFCE})  # Encrypted Client Hello and its draft: the name they hide cannot be compared


class NotTls(PolicyDenied):
    """What came is no beginning of TLS."""

    def __init__(self) -> None:
        super().__init__("egress.tls", "only TLS goes through a tunnel")


class TooEarly(PolicyDenied):
    """Something stands behind the hello. A server that wants another one would take it for that, unread by us."""

    def __init__(self) -> None:
        super().__init__("egress.tls", "a TLS client must send nothing behind its hello before the server's answer")


class HelloReader:
    """Takes the client's bytes as they come, in whatever pieces and records."""

    def __init__(self, *, again: bool = False) -> None:
        """`again`: a second hello, which the server asked for; clients may send a change-cipher-spec before it."""
        self._skippable = _CHANGE_CIPHER_SPEC if again else b""
        self._raw = bytearray()  # what is no whole record yet
        self._hello = bytearray()  # the handshake message, without the headers of records

    def feed(self, data: bytes) -> str | None:
        """The server's name, in lower case, once the message is whole; None before.

        Raises PolicyDenied for what is no TLS, and for a message that names no server, or hides it.
        """
        self._raw += data
        if self._skippable and len(self._raw) >= len(self._skippable):
            if self._raw.startswith(self._skippable):
                del self._raw[: len(self._skippable)]
            self._skippable = b""
        while len(self._raw) >= 5:
            size = _record_size(self._raw)
            if len(self._raw) < 5 + size:
                break
            self._hello += self._raw[5 : 5 + size]
            del self._raw[: 5 + size]
            if len(self._hello) >= 4 and len(self._hello) >= 4 + _message_size(self._hello):
                if self._raw or len(self._hello) > 4 + _message_size(self._hello):
                    raise TooEarly
                return server_name(bytes(self._hello[4:]))
        if self._raw and self._raw[0] != _HANDSHAKE and not self._skippable:
            raise NotTls
        return None


def _record_size(raw: bytearray) -> int:
    kind, major, size = raw[0], raw[1], int.from_bytes(raw[3:5])
    if kind != _HANDSHAKE or major != 3 or not 0 < size <= _MAX_RECORD:
        raise NotTls
    return size


def _message_size(message: bytearray) -> int:
    size = int.from_bytes(message[1:4])
    if message[0] != _CLIENT_HELLO or size > MAX_HELLO:
        raise NotTls
    return size


def server_name(body: bytes) -> str:
    """The name in a ClientHello without its header. Raises PolicyDenied."""
    try:
        extensions = _extensions(_Reader(body))
        names = _Reader(_Reader(extensions[_SERVER_NAME]).block(2)) if _SERVER_NAME in extensions else None
        if extensions.keys() & _ENCRYPTED:
            raise PolicyDenied("egress.sni", "a client must not encrypt its hello: the server's name must be readable")
        if names is None:
            raise PolicyDenied("egress.sni", "a client must name the server in its hello (SNI)")
        if names.number(1) != 0:
            raise NotTls
        name = names.block(2).decode("ascii")
        if names.left:
            raise NotTls
    except (IndexError, UnicodeDecodeError):
        raise NotTls from None
    return name.lower()


def _extensions(reader: _Reader) -> dict[int, bytes]:
    reader.take(2 + 32)  # version, random
    reader.block(1)  # session id
    reader.block(2)  # cipher suites
    reader.block(1)  # compression methods
    found: dict[int, bytes] = {}
    if not reader.left:
        return found
    listed = _Reader(reader.block(2))
    while listed.left:
        kind = listed.number(2)
        if kind in found:
            raise NotTls  # two readers could take two different ones
        found[kind] = listed.block(2)
    if reader.left:
        raise NotTls
    return found


class _Reader:
    """Numbers and blocks from bytes. Raises IndexError at their end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._position

    def take(self, size: int) -> bytes:
        if size > self.left:
            raise IndexError("the message is too short")
        self._position += size
        return self._data[self._position - size : self._position]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def block(self, size: int) -> bytes:
        """Bytes behind their length, which takes `size` bytes."""
        return self.take(self.number(size))
