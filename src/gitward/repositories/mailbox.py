"""A mailbox that a plain `git am` takes as it is, also when lines end with a carriage return."""

from __future__ import annotations

import re

_MESSAGE = re.compile(rb"^From [0-9a-f]{40,64} Mon Sep 17 00:00:00 2001$", re.MULTILINE)  # as git format-patch begins
_UNSAFE = re.compile(rb"[^\n\t\x20-\x3c\x3e-\x7e]|[ \t](?=\n)")
_MIME = re.compile(rb"(?:MIME-Version|Content-Type|Content-Transfer-Encoding): .*\n(?:[ \t].*\n)*", re.IGNORECASE)
_ENCODED = b"MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: quoted-printable\n"


def carry_returns(mailbox: bytes) -> bytes:
    """The mailbox of `git format-patch`, with messages that have a carriage return in quoted-printable.

    `git am` drops carriage returns at the ends of raw lines, as mail does on its way, and so every line of a file
    with CRLF would not fit. What is encoded it leaves alone.
    """
    if b"\r" not in mailbox:
        return mailbox
    starts = [match.start() for match in _MESSAGE.finditer(mailbox)] or [0]
    ends = [*starts[1:], len(mailbox)]
    return b"".join(_encoded(mailbox[start:end]) for start, end in zip(starts, ends, strict=True))


def _encoded(message: bytes) -> bytes:
    if b"\r" not in message:
        return message
    headers, _, body = message.partition(b"\n\n")
    kept = _MIME.sub(b"", headers + b"\n")
    return kept + _ENCODED + b"\n" + _UNSAFE.sub(lambda match: b"=%02X" % match[0][0], body)
