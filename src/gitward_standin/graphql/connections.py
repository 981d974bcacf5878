"""Relay's connections, as GitHub cuts them: first, last, after, before; at most 100 at a time."""

from __future__ import annotations

import base64
import binascii
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gitward_standin.graphql.refusals import Refusal
from gitward_standin.graphql.tables import Table, Tables, attribute, camel, plain

LIMIT = 100
_BOUNDS = ("after", "before", "first", "last")


@dataclass(frozen=True, kw_only=True)
class Edge:
    node: object
    cursor: str


@dataclass(frozen=True, kw_only=True)
class Connection:
    """A part of a list. `extra`: what else the connection tells."""

    everything: Sequence[Any]
    start: int
    stop: int
    bounded: bool  # False: neither first nor last was given, so GitHub shows no nodes
    extra: Mapping[str, object] = field(default_factory=dict)

    @property
    def nodes(self) -> Sequence[Any]:
        if not self.bounded:
            raise Refusal(
                "MISSING_PAGINATION_BOUNDARIES",
                "You must provide a `first` or `last` value to properly paginate the connection.",
            )
        return self.everything[self.start : self.stop]

    @property
    def edges(self) -> list[Edge]:
        return [Edge(node=node, cursor=_cursor(self.start + place)) for place, node in enumerate(self.nodes)]

    @property
    def total_count(self) -> int:
        return len(self.everything)

    @property
    def page_info(self) -> Connection:
        return self

    @property
    def has_next_page(self) -> bool:
        return self.stop < len(self.everything)

    @property
    def has_previous_page(self) -> bool:
        return self.start > 0

    @property
    def start_cursor(self) -> str | None:
        return _cursor(self.start) if self.start < self.stop else None

    @property
    def end_cursor(self) -> str | None:
        return _cursor(self.stop - 1) if self.start < self.stop else None


class Connected:
    """A field that is a connection over what `items(visit, value, **filters)` lists."""

    def __init__(
        self, items: Callable[..., Any], *, extra: Callable[[Sequence[Any]], Mapping[str, object]] | None = None
    ) -> None:
        self._items = items
        self._extra = extra
        filters = [
            parameter.name
            for parameter in inspect.signature(items).parameters.values()
            if parameter.kind is parameter.KEYWORD_ONLY
        ]
        self.arguments = sorted([*map(camel, filters), *_BOUNDS])

    async def __call__(self, visit: object, value: object, **given: Any) -> Connection:
        bounds = {name: given.pop(name, None) for name in _BOUNDS}
        items = self._items(visit, value, **given)
        if inspect.isawaitable(items):
            items = await items
        extra = self._extra(items) if self._extra else {}
        return cut(list(items), extra=extra, **bounds)


def empty(*filters: str) -> Connected:
    """A field that is a connection with nothing in it; `filters` (GitHub's names) are taken and change nothing."""
    connected = Connected(lambda _visit, _value, **_filters: ())
    connected.arguments = sorted([*filters, *_BOUNDS])
    return connected


def cut(
    everything: Sequence[Any],
    *,
    first: int | None = None,
    last: int | None = None,
    after: str | None = None,
    before: str | None = None,
    extra: Mapping[str, object] | None = None,
) -> Connection:
    """Raises Refusal for numbers and cursors that GitHub refuses."""
    start = _place(after) + 1 if after else 0
    stop = min(_place(before), len(everything)) if before else len(everything)
    for name, count in (("first", first), ("last", last)):
        if count is not None and not 0 <= count <= LIMIT:
            raise Refusal(
                "EXCESSIVE_PAGINATION",
                f"Requesting {count} records on the connection exceeds the `{name}` limit of {LIMIT} records.",
            )
    if first is not None:
        stop = min(stop, start + first)
    if last is not None:
        start = max(start, stop - last)
    bounded = first is not None or last is not None
    return Connection(everything=everything, start=start, stop=max(start, stop), bounded=bounded, extra=extra or {})


def tables(*nodes: str, edges: Mapping[str, Table] | None = None) -> Tables:
    """The tables of the connections over these types, and of their edges. `edges`: more fields of an edge."""
    found: dict[str, Table] = {}
    for node in nodes:
        found[f"{node}Connection"] = plain("nodes", "edges", "pageInfo", "totalCount")
        found[f"{node}Edge"] = {**plain("node", "cursor"), **((edges or {}).get(node) or {})}
    return found


PAGE_INFO: Tables = {"PageInfo": plain("hasNextPage", "hasPreviousPage", "startCursor", "endCursor")}


def extra(*names: str) -> Table:
    """Fields that a connection has beside the usual ones."""
    return {name: _told(name) for name in names}


def _told(name: str) -> Callable[[object, Connection], object]:
    return lambda _visit, connection: connection.extra[name]


def ordered(items: Sequence[Any], order: Mapping[str, str] | None, **fields: str) -> list[Any]:
    """The items in the order that was asked for: {"field", "direction"}. `fields`: the attribute of each field."""
    if order is None:
        return list(items)
    key = attribute(fields[order["field"]])
    return sorted(items, key=lambda item: key(None, item), reverse=order["direction"] == "DESC")


def _cursor(place: int) -> str:
    return base64.b64encode(f"cursor:v2:{place}".encode()).decode()


def _place(cursor: str) -> int:
    try:
        prefix, _, place = base64.b64decode(cursor, validate=True).decode().rpartition(":")
        if prefix == "cursor:v2":
            return int(place)
    except (binascii.Error, ValueError):
        pass
    raise Refusal("INVALID_CURSOR_ARGUMENTS", f"`{cursor}` does not appear to be a valid cursor.")
