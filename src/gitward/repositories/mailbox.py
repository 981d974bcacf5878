"""A mailbox that a plain `git am` applies unchanged, even if lines end with a carriage return."""

from __future__ import annotations

import re

_BEGINNING = b"From "
_REST_OF_IT = re.compile(rb"[0-9a-f]{40,64} Mon Sep 17 00:00:00 2001\n")  # as git format-patch begins a message
_MIME = re.compile(rb"(?:MIME-Version|Content-Type|Content-Transfer-Encoding): .*\n(?:[ \t].*\n)*", re.IGNORECASE)
_ENCODED = b"MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: quoted-printable\n"


def carry_returns(mailbox: bytes) -> bytes:
    """The mailbox of `git format-patch`, with messages that have a carriage return in quoted-printable.

    `git am` drops carriage returns at the ends of raw lines, as mail does on its way, and so every line of a file
    with CRLF would not fit. What is encoded it leaves alone. Only what git would misread is encoded; the time that this
    takes grows with the length alone, and the interpreter is free for others between any two messages. Blocks.
    """
    if b"\r" not in mailbox:
        return mailbox
    return b"".join(_encoded(message) for message in _messages(mailbox))


def _messages(mailbox: bytes) -> list[bytes]:
    found: list[bytes] = []
    first, *rest = mailbox.split(b"\n" + _BEGINNING)
    pieces = [first]  # of the message that is read
    for part in rest:
        if _REST_OF_IT.match(part):
            found.append(b"".join(pieces) + b"\n")
            pieces = [_BEGINNING, part]
        else:  # a line of text that only looks like a beginning
            pieces += [b"\n", _BEGINNING, part]
    return [*found, b"".join(pieces)]


def _encoded(message: bytes) -> bytes:
    if b"\r" not in message:
        return message
    headers, _, body = message.partition(b"\n\n")
    kept = _MIME.sub(b"", headers + b"\n")
    return kept + _ENCODED + b"\n" + body.replace(b"=", b"=3D").replace(b"\r", b"=0D")
