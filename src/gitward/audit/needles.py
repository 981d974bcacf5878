"""The values to search for: a secret in every spelling, whole or half; and a planted value, to prove the search."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from gitward.errors import GitwardError
from gitward.secrets import Secret, spellings

SHORTEST_HALF = 10  # bytes; a shorter needle would be found by chance
_BINARY = ("UTF-16LE", "UTF-16BE")  # spellings that no argument, variable or text can hold
_ESCAPE = b"\\"
_ESCAPES = b"\\\\"  # JSON inside JSON writes its backslashes twice
_EMPTY, _FEWER = bytes(4096), bytes(64)  # a page of memory or of a database that nobody wrote, and what stands for it


class TokenTooShort(GitwardError):
    """The token cannot be told from chance."""


class Needles:
    """One secret, to be found in bytes."""

    def __init__(self, secret: Secret) -> None:
        """:raises TokenTooShort: half of it would be found by chance."""
        forms = spellings(secret)
        if len(forms["plain"]) < 2 * SHORTEST_HALF:
            raise TokenTooShort(
                f"The token has fewer than {2 * SHORTEST_HALF} characters: its halves are too short to search for."
            )
        halves = {name: (form[: len(form) // 2], form[len(form) // 2 :]) for name, form in forms.items()}
        self._halves = halves
        self._escaped = {name: each for name, each in halves.items() if any(_ESCAPE in half for half in each)}
        self._forms = forms
        self.longest = max(map(len, forms.values()))

    def __repr__(self) -> str:
        return "Needles(***)"

    def found_in(self, data: bytes) -> set[str]:
        """The names of the spellings that stand in `data`; of half a spelling, its name and which half."""
        found = self._find(data, self._halves)
        while self._escaped and _ESCAPES in data:
            data = data.replace(_ESCAPES, _ESCAPE)
            found |= self._find(data, self._escaped)  # only what has a backslash can have come by that
        return found

    def _find(self, data: bytes, halves: Mapping[str, tuple[bytes, bytes]]) -> set[str]:
        found = set()
        present = {half for half in set().union(*halves.values()) if half in data}  # many spellings are equal
        for name, (first, second) in halves.items() if present else ():
            has_first, has_second = first in present, second in present
            if has_first and has_second and self._forms[name] in data:
                found.add(name)
            elif has_first or has_second:
                found.add(f"{name}, {'both halves' if has_first and has_second else 'half'}")
        return found

    def halves_in(self, data: bytes) -> set[str]:
        """As `found_in`, of the plain spelling alone."""
        return self._find(data, {"plain": self._halves["plain"]})


def condensed(data: bytes) -> bytes:
    """The same without long runs of zeros, in which nothing can stand, and of which memory and databases are full."""
    return data.replace(_EMPTY, _FEWER)


class Plant:
    """Two random values that are put everywhere on purpose: one in every spelling, of the other the halves."""

    def __init__(self, length: int = 40) -> None:
        """`length`: as that of a token."""
        whole, halved = (secrets.token_hex(length)[:length] for _ in range(2))
        self._whole, self._halved = Needles(Secret(whole)), Needles(Secret(halved))
        forms = spellings(Secret(whole))
        halves = (halved[: length // 2].encode(), halved[length // 2 :].encode())
        texts = [form for name, form in forms.items() if name not in _BINARY]
        self.text = b" ".join([halves[0], *texts, halves[1]]).decode()
        self.binary = b"  ".join(forms[name] for name in _BINARY)
        self.text_spellings = self.found_in(self.text.encode())
        self.spellings = self.found_in(self.text.encode() + self.binary)

    def found_in(self, data: bytes) -> set[str]:
        """What of the plant stands in `data`."""
        return self._whole.found_in(data) | {f"a half: {name}" for name in self._halved.halves_in(data)}
