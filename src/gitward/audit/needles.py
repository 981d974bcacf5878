"""The values to search for: a secret in every spelling, whole or half; and a planted value, to prove the search."""

from __future__ import annotations

import secrets

from gitward.errors import GitwardError
from gitward.secrets import Secret, spellings

SHORTEST_HALF = 10  # bytes; a shorter needle would be found by chance
_BINARY = ("UTF-16LE", "UTF-16BE")  # spellings that no argument, variable or text can hold
_ESCAPES = b"\\\\"  # JSON inside JSON writes its backslashes twice


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
        self._halves = {name: (form[: len(form) // 2], form[len(form) // 2 :]) for name, form in forms.items()}
        self._forms = forms
        self.longest = max(map(len, forms.values()))

    def __repr__(self) -> str:
        return "Needles(***)"

    def found_in(self, data: bytes) -> set[str]:
        """The names of the spellings that stand in `data`; of half a spelling, its name and which half."""
        found = self._find(data)
        while _ESCAPES in data:
            data = data.replace(_ESCAPES, b"\\")
            found |= self._find(data)
        return found

    def _find(self, data: bytes) -> set[str]:
        found = set()
        for name, (first, second) in self._halves.items():
            has_first, has_second = first in data, second in data
            if has_first and has_second and self._forms[name] in data:
                found.add(name)
            elif has_first or has_second:
                found.add(f"{name}, {'both halves' if has_first and has_second else 'half'}")
        return found


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
        halves = {name for name in self._halved.found_in(data) if name.startswith("plain")}
        return self._whole.found_in(data) | {f"a half: {name}" for name in halves}
