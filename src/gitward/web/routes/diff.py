"""What the branch, or one run, changed: the files first, then their lines."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from gitward.errors import NotFound
from gitward.sessions import artifacts
from gitward.sessions.model import RUN_KINDS, ArtifactKind, Session
from gitward.store.database import Transaction
from gitward.web.content.diff import ChangedFile, DiffLine, files_of, lines_of
from gitward.web.services import Served, WebServices
from gitward.web.signing_in import Person, SignedIn
from gitward.web.templating import render

router = APIRouter(prefix="/s")
FILE_LINES = 300  # of one file that the page comes with; of longer ones it has a link
PAGE_LINES = 1500  # of all files together
MOST_FILES = 500  # in the list
LONG_FILE = 5000  # lines of one file on a page of its own


@dataclass(frozen=True, kw_only=True)
class FileShown:
    file: ChangedFile
    lines: Sequence[DiffLine] | None  # None: on demand


@router.get("/{session_id}/diff")
async def diff(session_id: str, person: SignedIn, served: Served, run: str | None = None) -> HTMLResponse:
    """Of the whole branch, or with `run` that run's own change."""
    session, content = await _content(served, person, session_id, run)
    html = await asyncio.to_thread(partial(_whole, person, session, content, run))
    return HTMLResponse(html)


@router.get("/{session_id}/diff/{number}")
async def one_file(
    session_id: str, number: int, person: SignedIn, served: Served, run: str | None = None, bare: bool = False
) -> HTMLResponse:
    """One file's lines: a page of its own, or only the lines for a page that is open (`bare`)."""
    session, content = await _content(served, person, session_id, run)
    html = await asyncio.to_thread(partial(_one, person, session, content, run, number, bare=bare))
    return HTMLResponse(html)


async def _content(
    served: WebServices, person: Person, session_id: str, run: str | None
) -> tuple[Session, bytes | None]:
    def look(tx: Transaction) -> tuple[Session, bytes | None]:
        session = served.sessions.get_session(tx, person.owner, session_id)
        kinds = (ArtifactKind.DIFF, *RUN_KINDS.values()) if run else (ArtifactKind.DIFF,)
        origin = artifacts.latest(tx, session_id, *kinds, run_id=run)
        if origin is None:
            return session, None
        kind = artifacts.of_run(tx, origin, ArtifactKind.DIFF) if run else ArtifactKind.DIFF
        return session, artifacts.content(tx, origin, kind)

    return await served.database.read(look)


def _whole(person: Person, session: Session, content: bytes | None, run: str | None) -> str:
    files = files_of(content or b"")
    room, shown = PAGE_LINES, list[FileShown]()
    for file in files[:MOST_FILES]:
        fits = file.lines <= min(FILE_LINES, room) and file.end - file.start < 64 * 1024
        lines = list(lines_of(content or b"", file, limit=3 * FILE_LINES)) if fits else None
        room -= len(lines or ())
        shown.append(FileShown(file=file, lines=lines))
    return render(
        "diff.html",
        person=person,
        session=session,
        run_id=run,
        runs=session.runs,
        is_there=content is not None,
        files=shown,
        total=len(files),
        additions=sum(each.additions for each in files),
        deletions=sum(each.deletions for each in files),
    )


def _one(person: Person, session: Session, content: bytes | None, run: str | None, number: int, *, bare: bool) -> str:
    files = files_of(content or b"")
    if content is None or not 0 < number <= len(files):
        raise NotFound("This change has no such file.")
    file = files[number - 1]
    lines = list(lines_of(content, file, limit=LONG_FILE))
    return render(
        "diff_lines.html" if bare else "diff_file.html",
        person=person,
        session=session,
        run_id=run,
        shown=FileShown(file=file, lines=lines),
        is_cut=len(lines) >= LONG_FILE,
        most=LONG_FILE,
    )
