"""Long answers, rendered as JSON in a thread and piece by piece, so that the event loop and other threads go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

from fastapi.responses import Response
from pydantic import BaseModel

T = TypeVar("T")


def rendered(model: BaseModel) -> bytes:
    """One value as JSON."""
    return model.model_dump_json().encode()


def rendered_page(items: Iterable[T], shape: Callable[[T], BaseModel], following: str | None) -> bytes:
    """A page as JSON. Blocks for as long as its items are many; call it where that holds nobody.

    :param shape: makes the answer's value of an item. One item at a time: pydantic lets no other thread run meanwhile.
    """
    pieces = b",".join(rendered(shape(item)) for item in items)
    return b'{"items":[' + pieces + b'],"next":' + (b"null" if following is None else _quoted(following)) + b"}"


async def answer(value: T, shape: Callable[[T], BaseModel]) -> Response:
    """The answer with this value, rendered in a thread."""
    return as_json(await asyncio.to_thread(lambda: rendered(shape(value))))


def as_json(content: bytes) -> Response:
    return Response(content, media_type="application/json")


def _quoted(cursor: str) -> bytes:
    """Cursors are numbers and base64: nothing in them needs escaping."""
    return b'"' + cursor.encode("ascii") + b'"'
