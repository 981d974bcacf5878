"""Removes credentials from an answer before the sandbox sees it: the token, if upstream echoes it, and GitHub's own."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gitward.broker.policy.accept import is_json
from gitward.secrets import MASK, Secret, masked_forms

MAX_SCREENED = 8 * 1024 * 1024  # bytes of an answer that is read whole
# A repository's description holds a token that reads the private repository without any other credential, and the
# description of a private file an address that does.
MAX_REWRITTEN = 2 * 1024 * 1024  # bytes of one that holds such credentials: a folder of 1,000 files has 1.3 million
_CREDENTIALS = (b"temp_clone_token", b"download_url")
# A quote inside a JSON text has a backslash before it, so what users write looks in no answer like a member's name.
# Patterns begin with one plain character, which is searched for at the speed of memory.
_NAME = re.compile(rb'"(?<!\\")(?:temp_clone_token|download_url)"\s*:\s*')
_MEMBER = re.compile(rb'(%b)("[^"\\]*(?:\\.[^"\\]*)*"|[^\s,{}\[\]"]+)' % _NAME.pattern)
_SPELLED_OUT = re.compile(rb"\\u00(?:5f|5F|[67][0-9a-fA-F])")  # a letter of such a name, by its number
_BLANK = frozenset({b'""', b"null"})
_UTF_8 = frozenset({"", "utf-8", "utf8"})


class UnfitAnswer(ValueError):
    """An answer that cannot be passed on. The text is fit for the sandbox."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """What an answer says that it is."""

    content_type: str  # in lower case, without parameters
    charset: str = ""

    @classmethod
    def of(cls, values: Sequence[str]) -> Form:
        """From the headers Content-Type. Raises UnfitAnswer for several."""
        if len(values) > 1:
            raise UnfitAnswer("GitHub's answer has several content types")
        content_type, _, parameters = (values[0] if values else "").lower().partition(";")
        charset = re.search(r"charset=\"?([a-z0-9_-]*)", parameters)
        return cls(content_type=content_type.strip(), charset=charset[1] if charset else "")


class Screen:
    """Takes every spelling of the run's tokens, and credentials that GitHub makes, out of answers."""

    def __init__(self, tokens: Iterable[Secret]) -> None:
        forms = {form for token in tokens for form in masked_forms(token)}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile(b"|".join(map(re.escape, longest_first))) if forms else None

    def body(self, data: bytes, form: Form) -> bytes:
        """What of it the sandbox may see; what is no JSON is never rewritten, but for the tokens.

        Raises UnfitAnswer, rather than to pass on something else.
        """
        if is_json(form.content_type):
            data = _without_credentials(data, form)
        elif _holds_credentials(data):
            raise UnfitAnswer("GitHub's answer holds an address with a credential in it: ask for it as JSON")
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
    if not inflater.eof or inflater.unused_data:
        raise ValueError("gzip that is cut short, too large, or followed by other data")
    return plain


def _without_credentials(data: bytes, form: Form) -> bytes:
    """JSON whose credentials are empty; else it is byte by byte as it was."""
    if not data:
        raise UnfitAnswer("GitHub's answer should be JSON, but is empty")
    if form.charset not in _UTF_8 or b"\0" in data:
        raise UnfitAnswer("GitHub's answer is JSON in another encoding than UTF-8")
    if b"\\u00" in data and _SPELLED_OUT.search(data.replace(rb"\\", b"")):  # two of them are one that is a letter
        raise UnfitAnswer("GitHub's answer is JSON with escaped letters, which the broker cannot check")
    if not _names_a_credential(data):
        return data
    if len(data) > MAX_REWRITTEN:
        raise UnfitAnswer(f"GitHub's answer holds credentials, and is larger than {MAX_REWRITTEN} bytes")
    if not _is_one_value(data):
        raise UnfitAnswer("GitHub's answer should be JSON, but cannot be read as JSON")
    return _MEMBER.sub(rb'\1""', data)


def _names_a_credential(data: bytes) -> bool:
    return any(name in data for name in _CREDENTIALS) and _NAME.search(data) is not None


def _is_one_value(data: bytes) -> bool:
    try:
        json.loads(data.decode())
    except (ValueError, RecursionError):
        return False
    return True


def _holds_credentials(data: bytes) -> bool:
    """Whether what says that it is no JSON is a description of GitHub's all the same, with a credential in it."""
    if data[:64].lstrip()[:1] not in (b"{", b"[") or not _names_a_credential(data):
        return False
    if len(data) > MAX_REWRITTEN:
        return True
    values = [value for name, value in _MEMBER.findall(data) if b"token" in name or b"token=" in value]
    return not all(value in _BLANK for value in values) and _is_one_value(data)
