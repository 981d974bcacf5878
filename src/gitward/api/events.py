"""The session's log: a page of JSON, or a live stream (server-sent events) that can be resumed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response, StreamingResponse

from gitward.api import patterns
from gitward.api.answer_shapes import StoredEvent
from gitward.api.auth import Caller, Expiry
from gitward.api.event_shapes import EventPage
from gitward.api.json_answers import as_json, rendered_page
from gitward.api.paths import SessionId
from gitward.api.problems import documented
from gitward.api.services import Served, Services
from gitward.errors import Code, FieldError, InvalidRequest, NotFound
from gitward.identity.verifier import LEEWAY_SECONDS
from gitward.sessions.live_events import PAGE
from gitward.sessions.model import Event, EventType, Owner
from gitward.store.database import Transaction

router = APIRouter(prefix="/sessions", tags=["events"])

KEEP_ALIVE_SECONDS = 15.0
LOOK_SECONDS = 1.0  # between two looks whether the server is stopping
CONNECTED = b": connected\n\n"
EXPIRED = b": the token has expired; connect again with a new one and the Last-Event-ID\n\n"
_STREAM = {"description": "A page, or with `Accept: text/event-stream` a live stream.", "content": {
    "text/event-stream": {"schema": {"type": "string"}},
}}  # fmt: skip


After = Annotated[int, Query(ge=0, le=2**31 - 1, description="Only events with a greater seq.")]
OfRun = Annotated[str | None, Query(max_length=40, description="Only events of this run; a stream ends with it.")]
LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        description="The event after which a stream continues.",
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
    expires_at: Expiry,
    after: After = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 200,
    run_id: OfRun = None,
    last_event_id: LastEventId = None,
) -> Response:
    """The session's log, in order. A live stream ends when its token expires; a comment says so."""
    after = max(after, _cursor(last_event_id))

    def look_for_stream(tx: Transaction) -> bool:
        served.sessions.check_owner(tx, caller, session_id)
        return run_id is not None and served.sessions.get_run(tx, caller, session_id, run_id).state.is_final

    def look_at_page(tx: Transaction) -> bytes:
        if run_id is not None:
            served.sessions.get_run(tx, caller, session_id, run_id)
        items = served.sessions.events(tx, caller, session_id, after=after, limit=limit, run_id=run_id)
        return rendered_page(items, StoredEvent.of, str(items[-1].seq) if len(items) == limit else None)

    if "text/event-stream" in request.headers.get("accept", "").lower():
        ended = await served.database.read(look_for_stream)
        return _stream(served, caller, session_id, after, run_id, ended=ended, expires_at=expires_at)
    return as_json(await served.database.read(look_at_page))


@router.get(
    "/{session_id}/events/stream",
    response_class=EventStream,
    responses=documented(Code.UNAUTHENTICATED, Code.NOT_FOUND, Code.INVALID_REQUEST, Code.UNAVAILABLE),
)
async def stream_events(
    session_id: SessionId,
    caller: Caller,
    served: Served,
    expires_at: Expiry,
    after: After = 0,
    run_id: OfRun = None,
    last_event_id: LastEventId = None,
) -> EventStream:
    """The session's log as a live stream (server-sent events): each `data` is one event, its `id` is the `seq`.

    It ends when its token expires; a comment says so.
    """
    after = max(after, _cursor(last_event_id))

    def look(tx: Transaction) -> bool:
        served.sessions.check_owner(tx, caller, session_id)
        return run_id is not None and served.sessions.get_run(tx, caller, session_id, run_id).state.is_final

    ended = await served.database.read(look)
    return _stream(served, caller, session_id, after, run_id, ended=ended, expires_at=expires_at)


def _stream(
    served: Services,
    owner: Owner,
    session_id: str,
    after: int,
    run_id: str | None,
    *,
    ended: bool,
    expires_at: float,
) -> EventStream:
    ends_at = _end_of_stream(expires_at)
    past = _past(served, owner, session_id, after, run_id)
    lines = past if ended else _live(served, session_id, after, run_id, ends_at)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return EventStream(_until(ends_at, lines), headers=headers)


def _cursor(last_event_id: str | None) -> int:
    if last_event_id is None or last_event_id == "":
        return 0
    if not (last_event_id.isascii() and last_event_id.isdigit()) or int(last_event_id) > 2**31 - 1:
        message = "must be the id of an event"
        raise InvalidRequest("Last-Event-ID is not valid.", errors=[FieldError(field="Last-Event-ID", message=message)])
    return int(last_event_id)


def _end_of_stream(expires_at: float) -> float:
    """When the token expires; with one that is let in after that, because clocks differ, when it is not any more."""
    return expires_at if time.time() < expires_at else expires_at + LEEWAY_SECONDS


async def _until(ends_at: float, lines: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    """The lines of a stream, as long as its token is valid."""
    async with contextlib.aclosing(lines):
        async for each in lines:
            if time.time() >= ends_at:
                yield EXPIRED
                return
            if each:
                yield each


async def _live(
    served: Services, session_id: str, after: int, run_id: str | None, ends_at: float
) -> AsyncGenerator[bytes, None]:
    """Rows after the cursor, then the next ones as they are committed. Ends with the run, or with the server.

    A line may be empty: then nothing was to be told for a while.
    """
    yield CONNECTED
    clock = asyncio.get_running_loop().time
    spoken = clock()
    async with served.feeds.watch(session_id, after) as watcher:
        while not served.stopping.is_set() and not watcher.gone:
            for told in await watcher.next(min(LOOK_SECONDS, max(0.0, ends_at - time.time()))):
                if run_id is not None and told.event.run_id != run_id:
                    continue
                yield told.line
                spoken = clock()
                if run_id is not None and told.event.type is EventType.RUN_ENDED:
                    return
            if clock() - spoken >= KEEP_ALIVE_SECONDS:
                yield b": keep-alive\n\n"
                spoken = clock()
            else:
                yield b""


async def _past(
    served: Services, owner: Owner, session_id: str, after: int, run_id: str | None
) -> AsyncGenerator[bytes, None]:
    """The rows of a run that has ended: there will be no more of them."""
    yield CONNECTED

    def look(tx: Transaction, after: int) -> list[tuple[int, bytes]]:
        page = served.sessions.events(tx, owner, session_id, after=after, limit=PAGE, run_id=run_id)
        return [(event.seq, line(event)) for event in page]

    while not served.stopping.is_set():
        try:
            page = await served.database.read(partial(look, after=after))
        except NotFound:  # removed meanwhile: there is nothing more to tell
            return
        for _, text in page:
            yield text
        if len(page) < PAGE:
            return
        after, _ = page[-1]


def line(event: Event) -> bytes:
    """One event as the stream sends it."""
    # ASCII only: many clients take U+2028, U+0085 and their kin for the end of a line.
    data = json.dumps(StoredEvent.of(event).model_dump(mode="json"), separators=(",", ":"))
    return f"id: {event.seq}\nevent: {event.type}\ndata: {data}\n\n".encode()
