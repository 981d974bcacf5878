"""What happens to a run while its page is open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from gitward.sessions.model import now
from gitward.web.live.messages import KEEP_ALIVE
from gitward.web.services import Served, WebServices
from gitward.web.signing_in import Person, SignedIn

router = APIRouter(prefix="/s")
KEEP_ALIVE_SECONDS = 15.0


@router.get("/{session_id}/runs/{run_id}/live")
async def live(
    session_id: str,
    run_id: str,
    person: SignedIn,
    served: Served,
    after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    last_event_id: Annotated[str | None, Header(alias="Last-Event-ID", max_length=20)] = None,
) -> StreamingResponse:
    """From where the page stands; a browser that was cut off says where by itself."""
    await served.database.read(lambda tx: served.sessions.get_run(tx, person.owner, session_id, run_id))
    if last_event_id and last_event_id.isascii() and last_event_id.isdigit():
        after = max(after, int(last_event_id))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    stream = _frames(served, person, session_id, run_id, after)
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def _frames(
    served: WebServices, person: Person, session_id: str, run_id: str, after: int
) -> AsyncIterator[bytes]:
    """Until the run has ended, the sign-in expires or the server stops."""
    clock = asyncio.get_running_loop().time
    spoken = clock()
    yield KEEP_ALIVE
    async with served.boards.watch(person.owner, session_id, run_id, after) as reader:
        while not served.stopping.is_set() and now() < person.expires_at:
            data = await reader.next(1.0)
            if data:
                yield data
                spoken = clock()
            elif reader.is_over:
                return
            elif clock() - spoken >= KEEP_ALIVE_SECONDS:
                yield KEEP_ALIVE
                spoken = clock()
