"""Which repositories' issues a text closes: GitHub acts on "Fixes owner/name#1" when a pull request is merged.

The search finds more such references than GitHub does, never fewer: it reads through markdown, HTML and entities.
Its time is linear in the text.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

# Letters behind a dash or a dot belong to a name ("fix-it/app#1"), and to no reference.
_KEYWORD = re.compile(r"(?<![a-z0-9])(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?)(?![a-z0-9])(?![-/._][a-z0-9])[^a-z0-9]*")
_NAME, _REPOSITORY = r"[a-z0-9][\w.-]{0,99}", r"[\w.-]{1,100}"  # of an owner, and below it: ".github" is one
_REFERENCE = re.compile(
    rf"(?:https?://)?[a-z0-9][\w.-]{{0,252}}(?::\d{{1,5}})?/(?P<linked>{_NAME}/{_REPOSITORY})/(?:issues|pulls?)/\d{{1,20}}"
    rf"|(?P<named>{_NAME}(?:/{_REPOSITORY})?)#\d{{1,20}}",
    re.ASCII,
)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});?", re.IGNORECASE | re.ASCII)
_ESCAPE = re.compile(r"\\(?=[!-/:-@\[-`{-~])")
_TAG = re.compile(r"</?[a-z][a-z0-9-]*(?:[\s/][^<>]*)?>")
_ADDRESS = re.compile(r"\shref\s*=\s*[\"']?([^\"'\s>]{1,600})")  # of a link in HTML
_LINK = re.compile(r"\[[^\[\]]*\](?=\()")  # the words of a link, before its address
_AHEAD = 600  # characters behind a keyword that a reference can take
_WORDS = frozenset({"bug", "gh", "issue", "issues", "pr", "ticket"})  # before a "#" they name no repository


def closed_by(text: str) -> dict[str, str]:
    """The repositories that are named where the text closes an issue, in lower case, each with one reference to it.

    "#1" names none. "name#1" does not say whose it is: the name is returned alone.
    """
    found: dict[str, str] = {}
    for variant in _variants(text):
        for repository, reference in _references(variant):
            found.setdefault(repository, reference)
    return found


def closes_elsewhere(text: str, repository: str) -> str | None:
    """A reference by which the text closes an issue of another repository than `repository`."""
    own = repository.casefold()
    return next((reference for name, reference in closed_by(text).items() if name != own), None)


def _variants(text: str) -> Iterator[str]:
    """The text as it may be read: with what markdown decodes, without what it hides, and by the addresses of links.

    Case is folded as GitHub does it: a long s and a ligature of fi are letters of the words too.
    """
    decoded = _ESCAPE.sub("", _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)).casefold()
    yield decoded
    shown = _TAG.sub(_linked, _without_comments(decoded))
    if shown != decoded:
        yield shown
    linked = _LINK.sub("", shown)
    if linked != shown:
        yield linked


def _linked(tag: re.Match[str]) -> str:
    address = _ADDRESS.search(tag[0])
    return "" if address is None else f" {address[1]} "


def _without_comments(text: str) -> str:
    first, *others = text.split("<!--")
    pieces = [first]
    for other in others:
        hidden, ended, shown = other.partition("-->")
        pieces.append(shown if ended else hidden)
    return "".join(pieces)


def _references(text: str) -> Iterator[tuple[str, str]]:
    for keyword in _KEYWORD.finditer(text):
        found = _REFERENCE.match(text, keyword.end(), keyword.end() + _AHEAD)
        if found is None:
            continue
        name = found["linked"] or found["named"]
        if name not in _WORDS:
            yield name, found[0]
