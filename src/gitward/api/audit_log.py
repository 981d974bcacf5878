"""The audit log, for operators: pages, and all of it as JSON lines."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field

from gitward.api.auth import Caller, Claims
from gitward.api.json_answers import as_json, rendered_page
from gitward.api.problems import documented
from gitward.api.services import Served
from gitward.errors import Code, Forbidden
from gitward.identity.authorization import is_operator
from gitward.sessions import audit_log
from gitward.sessions.audit_log import Act, AuditEntry, AuditFilter
from gitward.store.database import Database, Transaction

router = APIRouter(prefix="/audit-log", tags=["audit log"])

_ANSWERS = documented(Code.UNAUTHENTICATED, Code.FORBIDDEN, Code.INVALID_REQUEST, Code.UNAVAILABLE)
_LINES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One AuditEntryOut on each line, the oldest first.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    },
    **_ANSWERS,
}


class AuditEntryOut(BaseModel):
    """Who did what, and when."""

    number: int = Field(description="Rises from line to line.")
    at: datetime
    act: Act
    issuer: str | None = Field(description="Of who did it; null: nobody knows, as of a refused sign-in.")
    subject: str | None
    session_id: str | None
    run_id: str | None
    detail: dict[str, str] = Field(description="Names and reasons; never a prompt, a command or a secret.")

    @classmethod
    def of(cls, entry: AuditEntry) -> AuditEntryOut:
        return cls.model_validate(entry.as_json())


class AuditPage(BaseModel):
    """Lines of the log, the newest first."""

    items: list[AuditEntryOut]
    next: str | None = Field(description="`before` of the next page; null: this is the last.")


async def _operator(claims: Claims, served: Served) -> None:
    if not is_operator(served.operators, claims):
        raise Forbidden("Only callers that GITWARD_OPERATORS names may read the audit log.")


def _iso(value: object) -> object:
    """pydantic would take a number for seconds."""
    if isinstance(value, str) and not _ISO.match(value):
        raise ValueError("must be a moment with its zone, such as 2026-11-29T12:00:00Z")
    return value


Operator = Annotated[None, Depends(_operator)]
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt]")
_TEXT = r"^[^\x00-\x1f]*$"  # Postgres takes no NUL
Subject = Annotated[str | None, Query(max_length=255, pattern=_TEXT)]
Issuer = Annotated[str | None, Query(max_length=512, pattern=_TEXT)]
SessionQuery = Annotated[str | None, Query(max_length=40, pattern=_TEXT)]
Moment = Annotated[AwareDatetime, BeforeValidator(_iso)]
Since = Annotated[Moment | None, Query(description="Only lines of this moment and later.")]


async def _filter(
    act: Act | None = None,
    issuer: Issuer = None,
    subject: Subject = None,
    session_id: SessionQuery = None,
    since: Since = None,
) -> AuditFilter:
    moment = None if since is None else _utc(since)
    return AuditFilter(act=act, issuer=issuer, subject=subject, session_id=session_id, since=moment)


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # at the edge of the calendar
        return moment.replace(tzinfo=UTC)


Wanted = Annotated[AuditFilter, Depends(_filter)]


@router.get("", response_model=AuditPage, responses=_ANSWERS)
async def list_audit_log(
    caller: Caller,
    _: Operator,
    served: Served,
    wanted: Wanted,
    before: Annotated[int | None, Query(ge=1, le=2**53, description="Only lines with a smaller number.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Response:
    """Who did what, the newest first. For operators."""
    del caller  # an operator

    def look(tx: Transaction) -> bytes:
        found = audit_log.read(tx, wanted, before=before, limit=limit)
        more = len(found) == limit and found[-1].number > 1
        return rendered_page(found, AuditEntryOut.of, str(found[-1].number) if more else None)

    return as_json(await served.database.read(look))


@router.get("/export", response_class=Response, responses=_LINES)
async def export_audit_log(caller: Caller, _: Operator, served: Served, wanted: Wanted) -> Response:
    """The whole log as JSON lines, the oldest first. For operators; that they took it stands in it."""
    took = partial(audit_log.note, act=Act.OPERATOR, owner=caller, what="exported the audit log")
    await served.database.write(took)
    return StreamingResponse(lines(served.database, wanted), media_type="text/plain")


async def lines(database: Database, wanted: AuditFilter) -> AsyncIterator[bytes]:
    """All of the log, as JSON lines, a page at a time."""
    after = 0
    while page := await database.read(lambda tx, after=after: _page(tx, wanted, after)):  # type: ignore[misc]  # bound now
        text, after = page
        yield text


def _page(tx: Transaction, wanted: AuditFilter, after: int) -> tuple[bytes, int] | None:
    found = audit_log.read_after(tx, wanted, after=after)
    if not found:
        return None
    text = "".join(json.dumps(entry.as_json(), ensure_ascii=True) + "\n" for entry in found)
    return text.encode(), found[-1].number
