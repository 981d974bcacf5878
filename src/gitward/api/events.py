"""The session's log: a page of JSON, or a live stream (server-sent events) that can be resumed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from gitward.api import patterns
from gitward.api.auth import Caller
from gitward.api.event_shapes import EventPage
from gitward.api.paths import SessionId
from gitward.api.problems import documented
from gitward.api.services import Served, Services
from gitward.api.shapes import StoredEvent
from gitward.errors import Code, FieldError, InvalidRequest, NotFound
from gitward.sessions.feeds import PAGE
from gitward.sessions.model import Event, EventType, Owner
from gitward.store.database import Transaction

router = APIRouter(prefix="/sessions", tags=["events"])

KEEP_ALIVE_SECONDS = 15.0
LOOK_SECONDS = 1.0  # between two looks whether the server is stopping
CONNECTED = b": connected\n\n"
_STREAM = {"description": "A page, or with `Accept: text/event-stream` a live stream.", "content": {
    "text/event-stream": {"schema": {"type": "string"}},
}}  # fmt: skip


After = Annotated[int, Query(ge=0, le=2**31 - 1, description="Events with a greater seq only.")]
OfRun = Annotated[str | None, Query(max_length=40, description="Of this run only; a stream ends with it.")]
LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        description="Where a stream goes on.",
        max_length=20,
        json_schema_extra={"pattern": patterns.DIGITS},
    ),
]


class EventStream(StreamingResponse):
    media_type = "text/event-stream"


@router.get(
    "/{session_id}/events",
    response_model=EventPage,
    responses={
        200: _STREAM,
        **documented(Code.UNAUTHENTICATED, Code.NOT_FOUND, Code.INVALID_REQUEST, Code.UNAVAILABLE),
    },
)
async def events(
    request: Request,
    session_id: SessionId,
    caller: Caller,
    served: Served,
    after: After = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 200,
    run_id: OfRun = None,
    last_event_id: LastEventId = None,
) -> Response:
    """The session's log, in order."""
    after = max(after, _cursor(last_event_id))

    def look(tx: Transaction) -> tuple[bool, Sequence[Event]]:
        ended = run_id is not None and served.sessions.get_run(tx, caller, session_id, run_id).state.is_final
        return ended, served.sessions.events(tx, caller, session_id, after=after, limit=limit, run_id=run_id)

    ended, items = await served.database.read(look)
    if "text/event-stream" in request.headers.get("accept", "").lower():
        return _stream(served, caller, session_id, after, run_id, ended=ended)
    following = str(items[-1].seq) if len(items) == limit else None
    page = [StoredEvent.of(event).model_dump(mode="json") for event in items]
    return JSONResponse({"items": page, "next": following})


@router.get(
    "/{session_id}/events/stream",
    response_class=EventStream,
    responses=documented(Code.UNAUTHENTICATED, Code.NOT_FOUND, Code.INVALID_REQUEST, Code.UNAVAILABLE),
)
async def stream_events(
    session_id: SessionId,
    caller: Caller,
    served: Served,
    after: After = 0,
    run_id: OfRun = None,
    last_event_id: LastEventId = None,
) -> EventStream:
    """The session's log as a live stream (server-sent events): the `data` of each is one event, its `id` the `seq`."""
    after = max(after, _cursor(last_event_id))

    def look(tx: Transaction) -> bool:
        served.sessions.check_owner(tx, caller, session_id)
        return run_id is not None and served.sessions.get_run(tx, caller, session_id, run_id).state.is_final

    ended = await served.database.read(look)
    return _stream(served, caller, session_id, after, run_id, ended=ended)


def _stream(
    served: Services, owner: Owner, session_id: str, after: int, run_id: str | None, *, ended: bool
) -> EventStream:
    past = _past(served, owner, session_id, after, run_id)
    lines = past if ended else _live(served, session_id, after, run_id)
    return EventStream(lines, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


def _cursor(last_event_id: str | None) -> int:
    if last_event_id is None or last_event_id == "":
        return 0
    if not (last_event_id.isascii() and last_event_id.isdigit()) or int(last_event_id) > 2**31 - 1:
        message = "must be the id of an event"
        raise InvalidRequest("Last-Event-ID is not valid.", errors=[FieldError(field="Last-Event-ID", message=message)])
    return int(last_event_id)


async def _live(served: Services, session_id: str, after: int, run_id: str | None) -> AsyncIterator[bytes]:
    """Rows after the cursor, then the next ones as they are committed. Ends with the run, or with the server."""
    yield CONNECTED
    clock = asyncio.get_running_loop().time
    spoken = clock()
    async with served.feeds.watch(session_id, after) as watcher:
        while not served.stopping.is_set() and not watcher.gone:
            for told in await watcher.next(LOOK_SECONDS):
                if run_id is not None and told.event.run_id != run_id:
                    continue
                yield told.line
                spoken = clock()
                if run_id is not None and told.event.type is EventType.RUN_ENDED:
                    return
            if clock() - spoken >= KEEP_ALIVE_SECONDS:
                yield b": keep-alive\n\n"
                spoken = clock()


async def _past(
    served: Services, owner: Owner, session_id: str, after: int, run_id: str | None
) -> AsyncIterator[bytes]:
    """The rows of a run that has ended: there will be no more of them."""
    yield CONNECTED
    while not served.stopping.is_set():
        try:
            page = await served.database.read(
                partial(
                    served.sessions.events, owner=owner, session_id=session_id, after=after, limit=PAGE, run_id=run_id
                )
            )
        except NotFound:  # removed meanwhile: there is nothing more to tell
            return
        for event in page:
            yield line(event)
        if len(page) < PAGE:
            return
        after = page[-1].seq


def line(event: Event) -> bytes:
    """One event as the stream sends it."""
    # ASCII only: many clients take U+2028, U+0085 and their kin for the end of a line.
    data = json.dumps(StoredEvent.of(event).model_dump(mode="json"), separators=(",", ":"))
    return f"id: {event.seq}\nevent: {event.type}\ndata: {data}\n\n".encode()
