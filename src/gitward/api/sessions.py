"""Routes of sessions and runs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response, status
from fastapi.responses import JSONResponse

from gitward.api import idempotency
from gitward.api.auth import Caller, Claims
from gitward.api.authorization import check_repositories
from gitward.api.paths import RunId, ScheduleQuery, SessionId
from gitward.api.problems import documented
from gitward.api.services import Served, Services
from gitward.api.shapes import (
    InstructionIn,
    Label,
    PublishAgainIn,
    Repository,
    RunOut,
    SessionIn,
    SessionOut,
    SessionPage,
    SessionPatch,
)
from gitward.errors import Code, Reason
from gitward.sessions.model import RunState, Session
from gitward.sessions.queries import SessionFilter

router = APIRouter(prefix="/sessions", tags=["sessions"])

_READ = documented(Code.UNAUTHENTICATED, Code.NOT_FOUND, Code.INVALID_REQUEST, Code.UNAVAILABLE)
_WRITE = documented(
    Code.UNAUTHENTICATED, Code.NOT_FOUND, Code.INVALID_REQUEST, Code.CONFLICT, Code.TOO_LARGE, Code.UNAVAILABLE
)
_LOCATION = {"description": "The session's address.", "required": True, "schema": {"type": "string"}}
_CREATED: dict[str, Any] = {"headers": {"Location": _LOCATION}}
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="A repeat within 24 hours gets the first answer.",
    ),
]


@router.post(
    "",
    status_code=201,
    response_model=SessionOut,
    responses={
        201: _CREATED,
        **documented(Code.UNAUTHENTICATED, Code.INVALID_REQUEST, Code.CONFLICT, Code.TOO_LARGE, Code.UNAVAILABLE),
    },
)
async def create_session(
    request: Request, body: SessionIn, caller: Caller, claims: Claims, served: Served, key: Key = None
) -> Response:
    """Creates a session with its first run queued. `Location` is the session's address."""
    check_repositories(served.repo_globs, served.rules, claims, body.repo, body.submodules)
    raw = await request.body()
    async with served.database.transaction() as tx:
        if key is not None:
            earlier = await idempotency.recall(tx, caller, key, method="POST /sessions", body=raw)
            if earlier is not None:
                return _created(earlier)
        session = await served.sessions.create_session(tx, caller, body.new_session())
        answer = SessionOut.of(session).model_dump(mode="json")
        if key is not None:
            await idempotency.remember(tx, caller, key, method="POST /sessions", body=raw, answer=answer)
    return _created(answer)


def _created(session: dict[str, Any]) -> Response:
    return JSONResponse(session, status_code=201, headers={"Location": f"/sessions/{session['id']}"})


def _check_session(served: Services, claims: Claims, session: Session) -> None:
    """The operator may have narrowed the settings since the session was made."""
    check_repositories(served.repo_globs, served.rules, claims, session.repo, session.submodules)


@router.get("", responses=documented(Code.UNAUTHENTICATED, Code.INVALID_REQUEST, Code.UNAVAILABLE))
async def list_sessions(
    caller: Caller,
    served: Served,
    state: RunState | None = None,
    repo: Annotated[Repository | None, Query()] = None,
    label: Annotated[Label | None, Query()] = None,
    archived: bool | None = None,
    reason: Annotated[Reason | None, Query(description="The latest run failed for it; `worker_lost`: dead.")] = None,
    schedule: ScheduleQuery = None,
    cursor: Annotated[str | None, Query(max_length=300)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> SessionPage:
    """The caller's own sessions, newest first."""
    wanted = SessionFilter(
        state=state,
        repo=repo,
        label=label,
        archived=archived,
        reason=reason,
        schedule=schedule,
        cursor=cursor,
        limit=limit,
    )
    async with served.database.snapshot() as tx:
        page = await served.sessions.list_sessions(tx, caller, wanted)
    return SessionPage(items=[SessionOut.of(session) for session in page.items], next=page.next)


@router.get("/{session_id}", responses=_READ)
async def get_session(session_id: SessionId, caller: Caller, served: Served) -> SessionOut:
    """One session with its runs."""
    async with served.database.snapshot() as tx:
        return SessionOut.of(await served.sessions.get_session(tx, caller, session_id))


@router.patch("/{session_id}", responses=_WRITE)
async def change_session(session_id: SessionId, body: SessionPatch, caller: Caller, served: Served) -> SessionOut:
    """Sets title, labels or the archived flag; what is left out stays."""
    async with served.database.transaction() as tx:
        return SessionOut.of(await served.sessions.change(tx, caller, session_id, body.change()))


@router.delete("/{session_id}", status_code=status.HTTP_204_NO_CONTENT, responses=_WRITE)
async def archive_session(session_id: SessionId, caller: Caller, served: Served) -> Response:
    """Archives the session; nothing is lost."""
    async with served.database.transaction() as tx:
        await served.sessions.change(tx, caller, session_id, SessionPatch(archived=True).change())
    return Response(status_code=status.HTTP_204_NO_CONTENT)


@router.post("/{session_id}/cancel", responses=_WRITE)
async def cancel_session(session_id: SessionId, caller: Caller, served: Served) -> SessionOut:
    """Ends what is queued and asks what is running to end. Ended runs stay as they are."""
    async with served.database.transaction() as tx:
        return SessionOut.of(await served.sessions.cancel(tx, caller, session_id))


@router.post("/{session_id}/runs", status_code=201, responses=_WRITE)
async def add_run(session_id: SessionId, body: InstructionIn, caller: Caller, claims: Claims, served: Served) -> RunOut:
    """A follow-up on the same branch, after the session's other runs."""
    async with served.database.transaction() as tx:
        _check_session(served, claims, await served.sessions.get_session(tx, caller, session_id))
        return RunOut.of(await served.sessions.add_run(tx, caller, session_id, body.instruction()))


@router.get("/{session_id}/runs/{run_id}", responses=_READ)
async def get_run(session_id: SessionId, run_id: RunId, caller: Caller, served: Served) -> RunOut:
    """One run with its steps."""
    async with served.database.snapshot() as tx:
        return RunOut.of(await served.sessions.get_run(tx, caller, session_id, run_id))


@router.post("/{session_id}/runs/{run_id}/retry", status_code=201, responses=_WRITE)
async def retry_run(session_id: SessionId, run_id: RunId, caller: Caller, claims: Claims, served: Served) -> RunOut:
    """A new run with the instruction of an ended one."""
    async with served.database.transaction() as tx:
        _check_session(served, claims, await served.sessions.get_session(tx, caller, session_id))
        return RunOut.of(await served.sessions.retry(tx, caller, session_id, run_id))


@router.post(
    "/{session_id}/runs/{run_id}/publish",
    status_code=201,
    responses={200: {"model": RunOut, "description": "It was asked for before: the run that does it."}, **_WRITE},
)
async def publish_run(
    session_id: SessionId,
    run_id: RunId,
    caller: Caller,
    claims: Claims,
    served: Served,
    response: Response,
    body: PublishAgainIn | None = None,
) -> RunOut:
    """A new run that pushes what an ended one kept and opens its pull request; nothing is run again."""
    change = (body or PublishAgainIn()).change()
    async with served.database.transaction() as tx:
        _check_session(served, claims, await served.sessions.get_session(tx, caller, session_id))
        published = await served.sessions.publish(tx, caller, session_id, run_id, change)
    if not published.created:
        response.status_code = status.HTTP_200_OK
    return RunOut.of(published.run)
