"""The list of a person's sessions, by what they want of him."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from gitward.errors import Conflict, NotFound
from gitward.sessions.model import Owner, now
from gitward.sessions.overview import (
    SHOWN,
    From,
    Group,
    Overview,
    OverviewFilter,
    last_change,
    read_overview,
    used_repositories,
)
from gitward.sessions.service import SessionChange
from gitward.store.database import Transaction
from gitward.web.live.messages import KEEP_ALIVE, message
from gitward.web.rows import row_of
from gitward.web.services import Served, WebServices
from gitward.web.signing_in import CheckedForm, Person, SignedIn
from gitward.web.templating import part, render

router = APIRouter()
TITLES = {Group.NEEDS_YOU: "Needs you", Group.RUNNING: "Running", Group.QUEUED: "Queued", Group.DONE: "Done"}
REFRESH_SECONDS = 2.0
UNASKED = 15  # times, after which ages and places in the queue are looked at though nothing was told
MOST_AT_ONCE = 200  # sessions of one bulk action: a page of all groups


def _wanted(
    q: Annotated[str, Query(max_length=200)] = "",
    repo: Annotated[str, Query(max_length=200)] = "",
    origin: Annotated[From | str, Query(max_length=20)] = "",
    archived: bool = False,
    group: Annotated[Group | str, Query(max_length=20)] = "",
    page: Annotated[int, Query(ge=1, le=1000)] = 1,
) -> OverviewFilter:
    return OverviewFilter(
        text=q,
        repo=repo or None,
        came_from=origin if isinstance(origin, From) else None,
        archived=archived,
        group=group if isinstance(group, Group) else None,
        page=page,
    )


Wanted = Annotated[OverviewFilter, Depends(_wanted)]


@router.get("/")
async def overview(person: SignedIn, served: Served, wanted: Wanted, said: str = "", count: int = 0) -> HTMLResponse:
    """The whole page; it works without a script."""

    def look(tx: Transaction) -> str:
        found = read_overview(tx, served.sessions, person.owner, wanted)
        return render(
            "overview.html",
            person=person,
            wanted=wanted,
            groups=_groups(found, wanted),
            repositories=used_repositories(tx, person.owner),
            live=address("/live", wanted),
            said=_SAID.get(said, "").format(count),
            here=address("/", wanted),
            total=sum(found.counts.values()),
        )

    return HTMLResponse(await served.database.read(look))


_SAID = {
    "archived": "{} archived.",
    "unarchived": "{} taken out of the archive.",
    "cancelled": "{} asked to end.",
    "some": "{} done; the others have runs that are not finished. Cancel those first.",
    "none": "Nothing was selected.",
}


@router.get("/live")
async def live(person: SignedIn, served: Served, wanted: Wanted) -> StreamingResponse:
    """The groups again whenever they look different."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    stream = _changes(served, person, wanted)
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def _changes(served: WebServices, person: Person, wanted: OverviewFilter) -> AsyncIterator[bytes]:
    known, spoken = 0, 0
    yield KEEP_ALIVE

    seen: tuple[object, ...] = ()

    def look(tx: Transaction) -> tuple[tuple[object, ...], str | None]:
        at = last_change(tx, person.owner)
        if at == seen and spoken % UNASKED != 0:
            return at, None
        groups = _groups(read_overview(tx, served.sessions, person.owner, wanted), wanted)
        return at, str(part("groups.html", "groups")(groups, address("/", wanted)))

    while not served.stopping.is_set() and now() < person.expires_at:
        seen, html = await served.database.read(look)
        if html is not None and hash(html) != known:
            known = hash(html)
            yield message("groups", html)
        spoken += 1
        if spoken % 8 == 0:
            yield KEEP_ALIVE
        for _ in range(4):
            if not served.stopping.is_set():
                await asyncio.sleep(REFRESH_SECONDS / 4)


@router.post("/bulk")
async def bulk(person: SignedIn, served: Served, form: CheckedForm) -> Response:
    """Archives or cancels what was selected, one by one: each is a change of its own."""
    action, chosen = form.get("action", ""), form.getlist("id")[:MOST_AT_ONCE]
    done = 0
    for session_id in chosen:
        done += await _act(served, person.owner, session_id, action)
    said = {"archive": "archived", "unarchive": "unarchived", "cancel": "cancelled"}.get(action, "none")
    said = "none" if not chosen else said if done == len(chosen) else "some"
    back = form.get("back", "")
    back = back if back.startswith("/?") or back == "/" else "/"
    joiner = "&" if "?" in back else "?"
    return RedirectResponse(f"{back}{joiner}{urlencode({'said': said, 'count': done})}", status_code=303)


async def _act(served: WebServices, owner: Owner, session_id: str, action: str) -> bool:
    def change(tx: Transaction) -> None:
        if action == "cancel":
            served.sessions.cancel(tx, owner, session_id)
        elif action in {"archive", "unarchive"}:
            served.sessions.change(tx, owner, session_id, SessionChange(archived=action == "archive"))

    try:
        await served.database.write(change)
    except (Conflict, NotFound):
        return False
    return True


def _groups(found: Overview, wanted: OverviewFilter) -> list[dict[str, object]]:
    groups: list[dict[str, object]] = []
    for group in Group:
        count = found.counts.get(group, 0)
        rows = [row_of(each, found.news.get(each.id)) for each in found.groups.get(group, ())]
        if not rows:
            continue
        more = count - ((wanted.page - 1) * SHOWN if wanted.group else 0) - len(rows)
        following = address(
            "/", wanted, group=group, page=wanted.page + 1 if wanted.group else 1 if len(rows) < SHOWN else 2
        )
        groups.append(
            {
                "name": group.value,
                "title": TITLES[group],
                "count": count,
                "rows": rows,
                "more": more,
                "next": following,
                "previous": address("/", wanted, page=wanted.page - 1) if wanted.group and wanted.page > 1 else None,
            }
        )
    return groups


def address(path: str, wanted: OverviewFilter, **changes: object) -> str:
    """Of the page with this filter."""
    values: dict[str, object] = {
        "q": wanted.text,
        "repo": wanted.repo or "",
        "origin": wanted.came_from or "",
        "archived": "true" if wanted.archived else "",
        "group": wanted.group or "",
        "page": wanted.page if wanted.page > 1 else "",
        **changes,
    }
    query = urlencode({name: str(value) for name, value in values.items() if value not in {"", None}})
    return f"{path}?{query}" if query else path
