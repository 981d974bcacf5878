"""The routes of sessions and runs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response, status
from fastapi.responses import JSONResponse

from gitward.api import idempotency
from gitward.api.agent_choice import with_agent
from gitward.api.answer_shapes import RunOut, RunPage, SessionOut, SessionPage
from gitward.api.auth import Caller, Claims
from gitward.api.environment_choice import check_environment, chosen_environment
from gitward.api.field_types import Label, Repository
from gitward.api.json_answers import answer, as_json, rendered, rendered_page
from gitward.api.paths import RunId, ScheduleQuery, SessionId
from gitward.api.problems import documented
from gitward.api.request_shapes import InstructionIn, PublishAgainIn, SessionIn, SessionPatch
from gitward.api.services import Served, ServedWithRoom, Services
from gitward.errors import Code, Reason
from gitward.identity.authorization import check_repositories, relevant_claims
from gitward.sessions.model import Run, RunState, Session
from gitward.sessions.service import Published
from gitward.sessions.session_list import SessionFilter
from gitward.store.database import Transaction

Json = dict[str, Any]
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
        description="A repeated request within 24 hours gets the first answer.",
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
    request: Request, body: SessionIn, caller: Caller, claims: Claims, served: ServedWithRoom, key: Key = None
) -> Response:
    """Creates a session with its first run queued. `Location` is the session's address."""
    check_repositories(served.repo_globs, served.rules, claims, body.repo, body.submodules)
    if served.collaborators is not None:
        await served.collaborators.check(claims, body.repo, body.submodules)
    raw = await request.body()
    served.reach.check(body.new_session())
    instruction = await with_agent(served, body.instruction())
    environment = await chosen_environment(served, body.environment)
    new = replace(
        body.new_session(),
        environment=environment,
        instruction=instruction,
        claims=relevant_claims(served.rules, claims),
    )

    def create(tx: Transaction) -> Json:
        return SessionOut.of(served.sessions.create_session(tx, caller, new)).model_dump(mode="json")

    if key is None:
        return _created(await served.database.write(create))
    once = partial(idempotency.once, owner=caller, key=key, method="POST /sessions", body=raw, do=create)
    try:
        return _created(await served.database.write(once))
    except idempotency.Repeated as repeated:
        return _created(repeated.answer)


def _created(session: Json) -> Response:
    return JSONResponse(session, status_code=201, headers={"Location": f"/sessions/{session['id']}"})


def _admit(tx: Transaction, served: Services, claims: Claims, session: Session) -> None:
    """The operator may have narrowed the settings since the session was created.

    :raises InvalidRequest: so that this caller's session is not allowed any more.
    """
    check_repositories(served.repo_globs, served.rules, claims, session.repo, session.submodules)
    if served.collaborators is not None:
        served.collaborators.require(claims, session.repo, session.submodules)
    kept = relevant_claims(served.rules, claims)
    if session.claims != kept:
        served.sessions.note_claims(tx, session.owner, session.id, kept)


async def _ask_github_again(served: Services, caller: Caller, claims: Claims, session_id: str) -> None:
    """Before a transaction, in which nobody may wait for GitHub.

    :raises InvalidRequest, Unavailable: as `Collaborators.check`.
    """
    if served.collaborators is not None:
        session = await served.database.read(lambda tx: served.sessions.get_session(tx, caller, session_id))
        await served.collaborators.check(claims, session.repo, session.submodules, again=True)


@router.get(
    "",
    response_model=SessionPage,
    responses=documented(Code.UNAUTHENTICATED, Code.INVALID_REQUEST, Code.UNAVAILABLE),
)
async def list_sessions(
    caller: Caller,
    served: Served,
    state: RunState | None = None,
    repo: Annotated[Repository | None, Query()] = None,
    label: Annotated[Label | None, Query()] = None,
    archived: bool | None = None,
    reason: Annotated[
        Reason | None, Query(description="The reason of the latest run; `worker_lost` lists the dead letters.")
    ] = None,
    schedule: ScheduleQuery = None,
    cursor: Annotated[str | None, Query(max_length=300)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
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

    def look(tx: Transaction) -> bytes:
        page = served.sessions.list_sessions(tx, caller, wanted)
        return rendered_page(page.items, SessionOut.of, page.next)

    return as_json(await served.database.read(look))


@router.get("/{session_id}", response_model=SessionOut, responses=_READ)
async def get_session(session_id: SessionId, caller: Caller, served: Served) -> Response:
    """One session with its runs."""

    def look(tx: Transaction) -> bytes:
        return rendered(SessionOut.of(served.sessions.get_session(tx, caller, session_id)))

    return as_json(await served.database.read(look))


@router.patch("/{session_id}", response_model=SessionOut, responses=_WRITE)
async def change_session(session_id: SessionId, body: SessionPatch, caller: Caller, served: Served) -> Response:
    """Sets title, labels or the archived flag; omitted fields stay."""
    change = body.change()

    def apply(tx: Transaction) -> Session:
        if change.title is not None:
            known = served.sessions.get_session(tx, caller, session_id)
            served.reach.check_named(known.repo, {"title": change.title})
        return served.sessions.change(tx, caller, session_id, change)

    return await answer(await served.database.write(apply), SessionOut.of)


@router.delete("/{session_id}", status_code=status.HTTP_204_NO_CONTENT, responses=_WRITE)
async def archive_session(session_id: SessionId, caller: Caller, served: Served) -> Response:
    """Archives the session; nothing is lost."""
    change = SessionPatch(archived=True).change()
    await served.database.write(lambda tx: served.sessions.change(tx, caller, session_id, change))
    return Response(status_code=status.HTTP_204_NO_CONTENT)


@router.post("/{session_id}/cancel", response_model=SessionOut, responses=_WRITE)
async def cancel_session(session_id: SessionId, caller: Caller, served: Served) -> Response:
    """Ends queued runs and asks the running one to end. Ended runs stay as they are."""
    session = await served.database.write(lambda tx: served.sessions.cancel(tx, caller, session_id))
    return await answer(session, SessionOut.of)


@router.post("/{session_id}/runs", status_code=201, responses=_WRITE)
async def add_run(
    session_id: SessionId, body: InstructionIn, caller: Caller, claims: Claims, served: ServedWithRoom
) -> RunOut:
    """A follow-up on the same branch, after the session's other runs."""
    await _ask_github_again(served, caller, claims, session_id)
    instruction = await with_agent(served, body.instruction())

    def add(tx: Transaction) -> Run:
        def admit(session: Session) -> None:
            _admit(tx, served, claims, session)
            served.reach.check_texts(session.repo, instruction)
            check_environment(served, instruction.environment or session.environment)

        return served.sessions.add_run(tx, caller, session_id, instruction, check=admit)

    return RunOut.of(await served.database.write(add))


@router.get("/{session_id}/runs", response_model=RunPage, responses=_READ)
async def list_runs(
    session_id: SessionId,
    caller: Caller,
    served: Served,
    before: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Only runs with a smaller number.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """All of the session's runs, newest first, also those that `GET /sessions/{id}` leaves out."""

    def look(tx: Transaction) -> bytes:
        runs = served.sessions.list_runs(tx, caller, session_id, before=before, limit=limit)
        more = len(runs) == limit and runs[-1].number > 1
        return rendered_page(runs, RunOut.of, str(runs[-1].number) if more else None)

    return as_json(await served.database.read(look))


@router.get("/{session_id}/runs/{run_id}", responses=_READ)
async def get_run(session_id: SessionId, run_id: RunId, caller: Caller, served: Served) -> RunOut:
    """One run with its steps."""
    return RunOut.of(await served.database.read(lambda tx: served.sessions.get_run(tx, caller, session_id, run_id)))


@router.post("/{session_id}/runs/{run_id}/retry", status_code=201, responses=_WRITE)
async def retry_run(
    session_id: SessionId, run_id: RunId, caller: Caller, claims: Claims, served: ServedWithRoom
) -> RunOut:
    """A new run with the instruction of an ended one."""
    await _ask_github_again(served, caller, claims, session_id)

    def retry(tx: Transaction) -> Run:
        admit = partial(_admit, tx, served, claims)
        return served.sessions.retry(tx, caller, session_id, run_id, check=admit)

    return RunOut.of(await served.database.write(retry))


@router.post(
    "/{session_id}/runs/{run_id}/publish",
    status_code=201,
    responses={200: {"model": RunOut, "description": "An earlier call already created this run."}, **_WRITE},
)
async def publish_run(
    session_id: SessionId,
    run_id: RunId,
    caller: Caller,
    claims: Claims,
    served: ServedWithRoom,
    response: Response,
    body: PublishAgainIn | None = None,
) -> RunOut:
    """A new run that pushes what an ended one kept and opens its pull request; no command runs."""
    change = (body or PublishAgainIn()).change()
    await _ask_github_again(served, caller, claims, session_id)

    def publish(tx: Transaction) -> Published:
        def admit(session: Session) -> None:
            _admit(tx, served, claims, session)
            served.reach.check_named(session.repo, {"publish.title": change.title, "publish.body": change.body})

        return served.sessions.publish(tx, caller, session_id, run_id, change, check=admit)

    published = await served.database.write(publish)
    if not published.created:
        response.status_code = status.HTTP_200_OK
    return RunOut.of(published.run)
