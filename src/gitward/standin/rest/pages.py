"""Pages of a list, as GitHub cuts them: `per_page` (30, at most 100), `page`, and the header Link."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from gitward.standin.rest.call import Answer, Call


def page(call: Call, items: Sequence[Any]) -> Answer:
    """The part of `items` that the query asks for."""
    size = min(max(_number(call.query.get("per_page"), 30), 1), 100)
    number = max(_number(call.query.get("page"), 1), 1)
    last = max((len(items) + size - 1) // size, 1)
    wanted: dict[str, int] = {}
    if number > 1:
        wanted |= {"prev": number - 1, "first": 1}
    if number < last:
        wanted |= {"next": number + 1, "last": last}
    links = (f'<{call.url}?{urlencode({**call.query, "page": n})}>; rel="{name}"' for name, n in wanted.items())
    headers = {"Link": ", ".join(links)} if wanted else {}
    return Answer(payload=list(items[(number - 1) * size : number * size]), headers=headers)


def _number(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else default
