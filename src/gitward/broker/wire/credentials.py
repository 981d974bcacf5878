"""The credential that a request presents: git by Basic, gh by `token`, others by Bearer."""

from __future__ import annotations

import base64
import binascii


def presented(header: str | None) -> bytes | None:
    """The secret part of an Authorization header; None without a header, empty when it cannot be read."""
    if header is None:
        return None
    scheme, _, value = header.partition(" ")
    if scheme.lower() in {"token", "bearer"}:
        return value.strip().encode("utf-8", "surrogateescape")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value.strip(), validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            return b""
    return b""
