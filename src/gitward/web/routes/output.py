"""The whole output of a run: page by page from its end, searched, or raw."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, StreamingResponse

from gitward.sessions import run_log
from gitward.sessions.model import Event, Run, Session
from gitward.store.database import Transaction
from gitward.web.content.terminal import Terminal
from gitward.web.services import Served, WebServices
from gitward.web.signing_in import Person, SignedIn
from gitward.web.templating import render

router = APIRouter(prefix="/s")
PAGE_LINES = 2000
PAGE_CHARACTERS = 1024 * 1024
RAW_EVENTS = 32  # that are read at once
MOST_FOUND = 1000  # lines that a search shows


@router.get("/{session_id}/runs/{run_id}/output")
async def output(
    session_id: str, run_id: str, person: SignedIn, served: Served, before: int | None = None, q: str = ""
) -> HTMLResponse:
    """The lines before an event, the last ones without; or those that hold the words."""

    def look(tx: Transaction) -> tuple[Session, Run, run_log.Output]:
        session = served.sessions.get_session(tx, person.owner, session_id)
        run = served.sessions.get_run(tx, person.owner, session_id, run_id)
        until = before if before is not None else run_log.last_seq(tx, session_id) + 1
        found = run_log.output_before(tx, session_id, run_id, before=until, lines=PAGE_LINES, most=PAGE_CHARACTERS)
        return session, run, found

    session, run, found = await served.database.read(look)
    hits = await _search(served, session_id, run_id, q) if q else None
    earlier = found.pieces[0].seq if found.has_earlier and found.pieces else None
    html = await asyncio.to_thread(
        _rendered, person, session, run, found.pieces, hits, q, earlier=earlier, is_end=before is None
    )
    return HTMLResponse(html)


def _rendered(
    person: Person,
    session: Session,
    run: Run,
    pieces: tuple[Event, ...],
    hits: list[str] | None,
    q: str,
    *,
    earlier: int | None,
    is_end: bool,
) -> str:
    text = "\n".join(hits) if hits is not None else "".join(str(each.data["text"]) for each in pieces)
    return render(
        "output.html",
        person=person,
        session=session,
        run=run,
        rows=list(Terminal().lines(text)),
        earlier=earlier,
        is_end=is_end,
        q=q,
        found=None if hits is None else len(hits),
        most=MOST_FOUND,
    )


async def _search(served: WebServices, session_id: str, run_id: str, words: str) -> list[str]:
    """Lines that hold the words, whatever their case; the first MOST_FOUND. Read in pieces, so that others go on."""
    wanted, found, rest = words.lower(), list[str](), ""
    async for text in _texts(served, session_id, run_id):
        lines = (rest + text).split("\n")
        rest = lines.pop()[-PAGE_CHARACTERS:]
        found += [line for line in lines if wanted in line.lower()]
        if len(found) >= MOST_FOUND:
            return found[:MOST_FOUND]
    return [*found, rest] if wanted in rest.lower() else found


@router.get("/{session_id}/runs/{run_id}/raw")
async def raw(session_id: str, run_id: str, person: SignedIn, served: Served) -> StreamingResponse:
    """The output as it came, but for tokens; a file, which no browser shows as a page."""
    await served.database.read(lambda tx: served.sessions.get_run(tx, person.owner, session_id, run_id))
    headers = {"Content-Disposition": f'attachment; filename="{run_id}.log"'}

    async def pieces() -> AsyncIterator[bytes]:
        async for text in _texts(served, session_id, run_id):
            yield text.encode("utf-8", "replace")

    return StreamingResponse(pieces(), media_type="text/plain; charset=utf-8", headers=headers)


async def _texts(served: WebServices, session_id: str, run_id: str) -> AsyncIterator[str]:
    after = 0
    while True:
        look = partial(run_log.output_pages, session_id=session_id, run_id=run_id, after=after, limit=RAW_EVENTS)
        page = await served.database.read(lambda tx, look=look: list(look(tx)))  # type: ignore[misc] # a page of its own
        for after, text in page:  # noqa: B007 -- the last one counts
            yield text
        if len(page) < RAW_EVENTS:
            return
