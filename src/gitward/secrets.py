"""The sealed value: a secret that cannot be printed, pickled or compared by accident.

`reveal` may be called in `gitward.github.credentials` and `gitward.broker.wire.upstream` only; a test reads the
source tree and keeps it so.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from typing import NoReturn
from urllib.parse import quote

MASK = "***"
SHORTEST = 8  # bytes; below this a value is no secret, and masking it would garble ordinary text


class Secret:
    """A value that prints as `***`."""

    __slots__ = ("_sealed",)

    def __init__(self, value: str) -> None:
        self._sealed = value

    def __repr__(self) -> str:
        return MASK

    def __str__(self) -> str:
        return MASK

    def __format__(self, _spec: str) -> str:
        return MASK

    def __bool__(self) -> bool:
        return bool(self._sealed)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(_bytes(self), _bytes(other))

    __hash__ = None  # type: ignore[assignment]  # a hash of a secret is a fingerprint of it

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled or copied")


def reveal(secret: Secret) -> str:
    """The value itself."""
    return secret._sealed


def masked_forms(secret: Secret) -> tuple[bytes, ...]:
    """The spellings under which output may show the secret, longest first, for the masking of output.

    Raw, URL-encoded, hex, and base64 as it stands alone, behind `x-access-token:` (how git sends it), and at
    each of the three offsets at which it may fall inside a longer base64 text (the unstable first and last
    characters cut off).
    """
    value = _bytes(secret)
    if len(value) < SHORTEST:
        return ()
    forms = {
        value,
        quote(value, safe="").encode(),
        value.hex().encode(),
        value.hex().upper().encode(),
    }
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        forms.add(encode(b"x-access-token:" + value).rstrip(b"="))
        forms |= {_inside_base64(encode, value, offset) for offset in range(3)}
    return tuple(sorted(forms, key=lambda form: (-len(form), form)))


def spellings(secret: Secret) -> dict[str, bytes]:
    """Spellings by name, for an audit that looks for the secret: those of `masked_forms`, and less likely ones."""
    value = _bytes(secret)
    each = [f"{byte:02x}" for byte in value]
    return {
        "plain": value,
        "backwards": value[::-1],
        "hex": "".join(each).encode(),
        "HEX": "".join(each).upper().encode(),
        **{f"base64, offset {n}": _inside_base64(base64.b64encode, value, n) for n in range(3)},
        **{f"base64url, offset {n}": _inside_base64(base64.urlsafe_b64encode, value, n) for n in range(3)},
        "URL-encoded": "".join(f"%{byte}" for byte in each).encode(),
        "URL-ENCODED": "".join(f"%{byte}" for byte in each).upper().encode(),
        "JSON-escaped": "".join(f"\\u00{byte}" for byte in each).encode(),
        "UTF-16LE": value.decode("latin-1").encode("utf-16-le"),
        "UTF-16BE": value.decode("latin-1").encode("utf-16-be"),
    }


def _inside_base64(encode: Callable[[bytes], bytes], value: bytes, offset: int) -> bytes:
    """What base64 makes of the value behind `offset` other bytes, without the characters that its neighbours shape."""
    text = encode(b"\0" * offset + value).rstrip(b"=")
    start = 0 if offset == 0 else offset + 1
    end = len(text) if (offset + len(value)) % 3 == 0 else len(text) - 1
    return text[start:end]


def _bytes(secret: Secret) -> bytes:
    """As it stood in the environment or a file, whatever its encoding."""
    return secret._sealed.encode("utf-8", "surrogateescape")
