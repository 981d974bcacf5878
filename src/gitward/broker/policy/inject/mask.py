"""Masks secrets in a stream without delaying it or changing its length."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gitward.secrets import Secret, masked_forms


class StreamMask:
    """Every spelling of the secrets becomes asterisks. Only what may be the beginning of one is held back."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        forms = {form for secret in secrets for form in masked_forms(secret)}
        self._forms = tuple(sorted(forms, key=len, reverse=True))
        self._pattern = re.compile(b"|".join(map(re.escape, self._forms))) if forms else None
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """What can be shown by now."""
        if self._pattern is None:
            return piece
        data = self._pattern.sub(_asterisks, self._held + piece)
        end = len(data) - self._open_end(data)
        self._held = data[end:]
        return data[:end]

    def flush(self) -> bytes:
        """What was held back; call it at the end of the stream."""
        data, self._held = self._held, b""
        return data

    def found_in(self, text: str) -> bool:
        return self._pattern is not None and self._pattern.search(text.encode("utf-8", "surrogateescape")) is not None

    def _open_end(self, data: bytes) -> int:
        """How many bytes at the end may be the beginning of a secret."""
        return max((_overlap(data, form) for form in self._forms), default=0)


def _overlap(data: bytes, form: bytes) -> int:
    longest = min(len(form) - 1, len(data))
    return next((size for size in range(longest, 0, -1) if data.endswith(form[:size])), 0)


def _asterisks(found: re.Match[bytes]) -> bytes:
    return b"*" * len(found[0])
