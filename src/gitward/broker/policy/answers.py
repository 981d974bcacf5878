"""What is taken out of an answer before the sandbox sees it: the token, should upstream echo it, and its like."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable
from typing import Any

from gitward.secrets import MASK, Secret, masked_forms

MAX_SCREENED = 8 * 1024 * 1024  # bytes of an answer that is read whole
# A repository's description holds a token that reads the private repository without any other credential, and the
# description of a private file an address that does.
_CREDENTIALS = frozenset({"temp_clone_token", "download_url"})


class Screen:
    """Takes every spelling of the run's tokens, and credentials that GitHub makes, out of answers."""

    def __init__(self, tokens: Iterable[Secret]) -> None:
        forms = {form for token in tokens for form in masked_forms(token)}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile(b"|".join(map(re.escape, longest_first))) if forms else None

    def body(self, data: bytes) -> bytes:
        if any(name.encode() in data for name in _CREDENTIALS):
            data = _without_credentials(data)
        return data if self._pattern is None else self._pattern.sub(MASK.encode(), data)

    def headers(self, pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Those that echo no token."""
        return [(name, value) for name, value in pairs if not self._echoes(value)]

    def _echoes(self, value: str) -> bool:
        return self._pattern is not None and bool(self._pattern.search(value.encode("utf-8", "surrogateescape")))


def decoded_answer(data: bytes, encoding: str) -> bytes:
    """A body without its Content-Encoding; servers may compress what they were asked not to. Raises ValueError."""
    if encoding == "identity":
        return data
    if encoding != "gzip":
        raise ValueError(f"unknown Content-Encoding {encoding[:20]!r}")
    inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(data, MAX_SCREENED)
    except zlib.error as error:
        raise ValueError("broken gzip") from error
    if not inflater.eof:
        raise ValueError("gzip that is cut short, or too large")
    return plain


def _without_credentials(data: bytes) -> bytes:
    try:
        return json.dumps(_blank(json.loads(data)), separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        return b"{}"  # it named a credential and cannot be read: better nothing than that


def _blank(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: "" if name in _CREDENTIALS else _blank(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_blank(member) for member in value]
    return value
