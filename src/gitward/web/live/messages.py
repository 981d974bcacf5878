"""The messages of a page's stream (server-sent events), in ASCII: some clients end lines at other characters too."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from gitward.sessions.model import Event

MOST_CHARACTERS = 1024 * 1024  # of output in one frame; a page shows the last lines only
KEEP_ALIVE = b": keep-alive\n\n"


def message(event: str, value: object) -> bytes:
    return f"event: {event}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n".encode("ascii")


def lines(output: Sequence[Event]) -> bytes:
    """Output as it is: the page itself makes lines and colours of it. The earlier part of very much is left out."""
    kept: list[list[object]] = []
    room = MOST_CHARACTERS
    for event in reversed(output):
        if room <= 0:
            break
        text = str(event.data.get("text") or "")
        room -= len(text)
        kept.append([event.seq, event.data.get("step"), event.data.get("stream"), text])
    return message("lines", {"skipped": len(output) - len(kept), "pieces": kept[::-1]})


def items(changed: Iterable[tuple[str, str]]) -> bytes:
    """Items of the conversation that are new, or have grown: the id and the HTML of each."""
    return message("items", list(changed))


def partials(parts: Iterable[str]) -> bytes:
    """Parts of the page that htmx puts in place of those with the same id."""
    html = "".join(
        f'<hx-partial hx-target="#{name}" hx-swap="outerMorph">{html}</hx-partial>'
        for name, html in ((_id_of(part), part) for part in parts)
    )
    text = html.encode("ascii", "xmlcharrefreplace").decode("ascii")
    return "".join(["".join(f"data: {line}\n" for line in text.splitlines()), "\n"]).encode("ascii")


def _id_of(html: str) -> str:
    begin = html.index('id="') + 4
    return html[begin : html.index('"', begin)]


def stale() -> bytes:
    """The page missed something: it fetches itself anew."""
    return message("stale", None)


def ended() -> bytes:
    """There is nothing more to come."""
    return message("end", None)
