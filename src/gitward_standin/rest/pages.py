"""Pages of a list, as GitHub cuts them: `per_page` (30, at most 100), `page`, and the header Link."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from gitward_standin.rest.call import Answer, Call

T = TypeVar("T")


def page(call: Call, items: Sequence[Any], *, wrapped: str | None = None) -> Answer:
    """The part of `items` that the query asks for. `wrapped`: in an object, under this name, with their count."""
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
    part = list(items[(number - 1) * size : number * size])
    return Answer(payload={"total_count": len(items), wrapped: part} if wrapped else part, headers=headers)


def matching(call: Call, items: Sequence[T], **filters: Callable[[T], object]) -> list[T]:
    """The items for which each parameter of the query that is given equals what its function tells, without case."""
    wanted = {name: call.query[name].lower() for name in filters if call.query.get(name)}
    return [item for item in items if all(str(filters[name](item)).lower() == text for name, text in wanted.items())]


def _number(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else default
