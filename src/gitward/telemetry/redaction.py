"""Masks secrets in logs and in stored output, even where two pieces split a secret."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

from gitward.secrets import MASK, Secret, masked_forms

# GitHub's own token shapes: a token that is not ours (an agent printed its own) is masked all the same.
# Source: GitHub's documentation, "About authentication to GitHub", token formats; an App's tokens (ghs_, and ghu_ some
# day) have been about 520 characters with something like a JWT inside since 2026. It does not look at what stands
# before: in a stream that may have been shown already.
_TOKEN_SHAPE = (
    rb"gh[por]_[A-Za-z0-9]{20,255}|gh[us]_[A-Za-z0-9._-]{19,1022}[A-Za-z0-9_-]|github_pat_[A-Za-z0-9_]{20,255}"
)
_TOKEN_PREFIXES = (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"github_pat_")
_GROWING_SHAPE = re.compile(
    rb"(?:gh[por]_[A-Za-z0-9]{0,254}|gh[us]_[A-Za-z0-9._-]{0,1022}|github_pat_[A-Za-z0-9_]{0,254})\Z"
)
_HALF = 12  # bytes of a secret that are nobody's chance
_LONGEST_SHAPE = 1040  # bytes; a little more than the longest text that _TOKEN_SHAPE matches


class Redactor:
    """Replaces every known spelling of its secrets, and whatever looks like a GitHub token, by `***`."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._secrets: list[Secret] = []
        self._add_all(secrets)

    def add(self, secret: Secret) -> None:
        """One more secret, from now on; in streams that have begun, too."""
        self._add_all([secret])

    def _add_all(self, secrets: Iterable[Secret]) -> None:
        self._secrets += secrets
        forms = sorted({form for secret in self._secrets for form in masked_forms(secret)}, key=len, reverse=True)
        self._pattern = re.compile(b"|".join([re.escape(form) for form in forms] + [_TOKEN_SHAPE]))
        halves = [half for form in forms if len(form) >= 2 * _HALF for half in _halves(form)]
        self._halves = re.compile(b"|".join(map(re.escape, halves)) or rb"(?!)")
        self._forms = tuple(forms)
        self.longest = max([len(form) for form in forms] + [_LONGEST_SHAPE])  # bytes that one match may span

    def mask(self, data: bytes) -> bytes:
        return self._pattern.sub(MASK.encode(), data)

    def holds_secret(self, data: bytes) -> bool:
        """Whether there is a secret in it, or a half of one: a file in pages may part a text anywhere.

        Blocks for as long as the data is long.
        """
        return self._pattern.search(data) is not None or self._halves.search(data) is not None

    def text(self, text: str) -> str:
        return self.mask(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def end_of_match(self, data: bytes, position: int) -> int:
        """`position`, or where the match that covers it ends: data may be cut there without cutting a secret.

        `data` begins where no secret is under way. It is searched from there, because matches that overlap would
        be told apart differently from anywhere else.
        """
        for match in self._pattern.finditer(data):
            if match.start() >= position:
                break
            if match.end() > position:
                return match.end()
        return position

    def open_end(self, word: bytes) -> int:
        """Where in `word` a secret may begin that what comes next completes; its length when none can."""
        start = 0
        while start < len(word) and not self._may_go_on(word[start:]):
            found = self._pattern.match(word, start)
            start = found.end() if found else start + 1
        return start

    def _may_go_on(self, rest: bytes) -> bool:
        return (
            any(len(rest) < len(form) and form.startswith(rest) for form in self._forms)
            or any(prefix.startswith(rest) for prefix in _TOKEN_PREFIXES)
            or _GROWING_SHAPE.match(rest) is not None
        )


def _halves(form: bytes) -> tuple[bytes, bytes]:
    return form[: len(form) // 2], form[len(form) // 2 :]


class RedactedStream:
    """Redacts a stream that arrives in pieces.

    No secret contains white space, so `feed` holds back only the last, unfinished word; of a word without end
    it holds back as many bytes as a secret may be long.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """The part of the stream that is safe to show by now."""
        data = self._held + piece
        safe = max(data.rfind(space) for space in (b"\n", b"\r", b"\t", b" ")) + 1
        if len(data) - safe > 2 * self._redactor.longest:
            safe = self._redactor.end_of_match(data, len(data) - self._redactor.longest)
        self._held = data[safe:]
        return self._redactor.mask(data[:safe])

    def pause(self) -> bytes:
        """What was held back but cannot be the beginning of a secret; for a stream that has fallen silent."""
        safe = self._redactor.open_end(self._held)
        shown, self._held = self._held[:safe], self._held[safe:]
        return self._redactor.mask(shown)

    def flush(self) -> bytes:
        """What was held back; call it at the end of the stream."""
        data, self._held = self._held, b""
        return self._redactor.mask(data)


class RedactingFilter(logging.Filter):
    """A logging filter that masks the message, its arguments, the traceback and the stack of every record."""

    def __init__(self) -> None:
        super().__init__()
        self._redactor = Redactor()

    def know(self, secrets: Iterable[Secret]) -> None:
        """Replaces the secrets whose exact value is masked."""
        self._redactor = Redactor(secrets)

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = self._redactor.text(_message(record))
        record.args = None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = self._redactor.text(record.exc_text)
            record.exc_info = None
        if record.stack_info:
            record.stack_info = self._redactor.text(record.stack_info)
        return True


def _message(record: logging.LogRecord) -> str:
    """The message with its arguments. A call that cannot be formatted must not fail the code that logs."""
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 -- an argument's own __str__ may raise anything
        return f"{record.msg} (its arguments cannot be shown: {type(error).__name__})"
