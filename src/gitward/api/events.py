"""The session's log: a page of JSON, or a live stream (server-sent events) that can be resumed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from gitward.api import patterns
from gitward.api.auth import Caller
from gitward.api.paths import SessionId
from gitward.api.problems import documented
from gitward.api.services import Served, Services
from gitward.api.shapes import EventOut, EventPage
from gitward.errors import Code, FieldError, InvalidRequest, NotFound
from gitward.sessions.model import Event, EventType, Owner

router = APIRouter(prefix="/sessions", tags=["events"])

KEEP_ALIVE_SECONDS = 15.0
POLL_SECONDS = 1.0  # a notification may be lost, or the worker may be another process
STREAM_PAGE = 200
_STREAM = {"description": "A page, or with `Accept: text/event-stream` a live stream.", "content": {
    "text/event-stream": {"schema": {"type": "string"}},
}}  # fmt: skip


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
    after: Annotated[int, Query(ge=0, le=2**31 - 1, description="Events with a greater seq only.")] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 200,
    run_id: Annotated[str | None, Query(max_length=40, description="Of this run only; a stream ends with it.")] = None,
    last_event_id: Annotated[
        str | None,
        Header(
            alias="Last-Event-ID",
            description="Where a stream goes on.",
            max_length=20,
            json_schema_extra={"pattern": patterns.DIGITS},
        ),
    ] = None,
) -> Response:
    """The session's log, in order."""
    after = max(after, _cursor(last_event_id))
    async with served.database.snapshot() as tx:
        if run_id is not None:
            await served.sessions.get_run(tx, caller, session_id, run_id)
        items = await served.sessions.events(tx, caller, session_id, after=after, limit=limit, run_id=run_id)
    if "text/event-stream" in request.headers.get("accept", "").lower():
        lines = _live(served, caller, session_id, after, run_id)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(lines, media_type="text/event-stream", headers=headers)
    following = str(items[-1].seq) if len(items) == limit else None
    page = EventPage(items=[EventOut.of(event) for event in items], next=following)
    return JSONResponse(json.loads(page.model_dump_json()))


def _cursor(last_event_id: str | None) -> int:
    if last_event_id is None or last_event_id == "":
        return 0
    if not (last_event_id.isascii() and last_event_id.isdigit()) or int(last_event_id) > 2**31 - 1:
        message = "must be the id of an event"
        raise InvalidRequest("Last-Event-ID is not valid.", errors=[FieldError(field="Last-Event-ID", message=message)])
    return int(last_event_id)


async def _live(
    served: Services, owner: Owner, session_id: str, after: int, run_id: str | None
) -> AsyncIterator[bytes]:
    """Rows after the cursor, then the next ones as they are committed. Ends with the run, or with the server."""
    yield b": connected\n\n"
    clock = asyncio.get_running_loop().time
    spoken = clock()
    with served.notifier.subscribe(session_id) as news:
        while not served.stopping.is_set():
            try:
                page, ended = await _next(served, owner, session_id, after, run_id)
            except NotFound:  # removed meanwhile: there is nothing more to tell
                return
            for event in page:
                yield _line(event)
            if page:
                after, spoken = page[-1].seq, clock()
            elif clock() - spoken >= KEEP_ALIVE_SECONDS:
                yield b": keep-alive\n\n"
                spoken = clock()
            if ended and len(page) < STREAM_PAGE:
                return
            if len(page) < STREAM_PAGE:
                await news.wait(POLL_SECONDS)


async def _next(
    served: Services, owner: Owner, session_id: str, after: int, run_id: str | None
) -> tuple[Sequence[Event], bool]:
    """The events after the cursor, and whether the run had ended when they were read (one snapshot for both)."""
    async with served.database.snapshot() as tx:
        page = await served.sessions.events(tx, owner, session_id, after=after, limit=STREAM_PAGE, run_id=run_id)
        if run_id is None:
            return page, False
        if any(event.type is EventType.RUN_ENDED for event in page):
            return page, True
        run = await served.sessions.get_run(tx, owner, session_id, run_id)
        return page, run.state.is_final


def _line(event: Event) -> bytes:
    # ASCII only: many clients take U+2028, U+0085 and their kin for the end of a line.
    data = json.dumps(EventOut.of(event).model_dump(mode="json"), separators=(",", ":"))
    return f"id: {event.seq}\nevent: {event.type}\ndata: {data}\n\n".encode()
