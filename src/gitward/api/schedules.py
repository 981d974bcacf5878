"""The routes of schedules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from fastapi import APIRouter, Response, status

from gitward.api.agent_choice import with_agent
from gitward.api.auth import Caller, Claims
from gitward.api.environment_choice import chosen_environment
from gitward.api.json_answers import as_json, rendered_page
from gitward.api.paths import ScheduleId
from gitward.api.problems import documented
from gitward.api.schedule_shapes import ScheduleIn, ScheduleOut, SchedulePage, SchedulePatch
from gitward.api.services import Served, ServedWithRoom
from gitward.errors import Code, FieldError, InvalidRequest
from gitward.identity.authorization import check_repositories, relevant_claims
from gitward.sessions.schedules import Schedule, ScheduleService
from gitward.store.database import Transaction

T = TypeVar("T")
router = APIRouter(prefix="/schedules", tags=["schedules"])

_schedules = ScheduleService()
_READ = documented(Code.UNAUTHENTICATED, Code.NOT_FOUND, Code.INVALID_REQUEST, Code.UNAVAILABLE)
_WRITE = documented(
    Code.UNAUTHENTICATED, Code.NOT_FOUND, Code.INVALID_REQUEST, Code.CONFLICT, Code.TOO_LARGE, Code.UNAVAILABLE
)
_LOCATION = {"description": "The schedule's address.", "required": True, "schema": {"type": "string"}}
_CREATED: dict[int | str, dict[str, Any]] = {
    201: {"headers": {"Location": _LOCATION}},
    **documented(Code.UNAUTHENTICATED, Code.INVALID_REQUEST, Code.CONFLICT, Code.TOO_LARGE, Code.UNAVAILABLE),
}


@router.post("", status_code=201, responses=_CREATED)
async def create_schedule(
    body: ScheduleIn, caller: Caller, claims: Claims, served: ServedWithRoom, response: Response
) -> ScheduleOut:
    """Stores a session and its times. The first session is created at the next time, not now."""
    check_repositories(served.repo_globs, served.rules, claims, body.repo, body.submodules)
    if served.collaborators is not None:
        await served.collaborators.check(claims, body.repo, body.submodules)
    template = body.new_session()
    served.reach.check(template)
    instruction = await with_agent(served, template.instruction)
    environment = await chosen_environment(served, body.environment)
    template = replace(template, environment=environment, instruction=instruction)
    timetable = _valid(body.timetable)
    kept = relevant_claims(served.rules, claims)
    made = await served.database.write(
        lambda tx: _schedules.create(tx, caller, timetable, template, kept),
    )
    response.headers["Location"] = f"/schedules/{made.id}"
    return ScheduleOut.of(made)


@router.get(
    "",
    response_model=SchedulePage,
    responses=documented(Code.UNAUTHENTICATED, Code.INVALID_REQUEST, Code.UNAVAILABLE),
)
async def list_schedules(caller: Caller, served: Served) -> Response:
    """The caller's own schedules, newest first."""

    def look(tx: Transaction) -> bytes:
        return rendered_page(_schedules.list(tx, caller), ScheduleOut.of, None)

    return as_json(await served.database.read(look))


@router.get("/{schedule_id}", responses=_READ)
async def get_schedule(schedule_id: ScheduleId, caller: Caller, served: Served) -> ScheduleOut:
    """One schedule; its sessions are at `/sessions?schedule=`."""
    return ScheduleOut.of(await served.database.read(lambda tx: _schedules.get(tx, caller, schedule_id)))


@router.patch("/{schedule_id}", responses=_WRITE)
async def change_schedule(schedule_id: ScheduleId, body: SchedulePatch, caller: Caller, served: Served) -> ScheduleOut:
    """Pauses, resumes or moves a schedule; omitted fields stay. After a pause, missed times are not made up for."""

    def change(tx: Transaction) -> Schedule:
        old = _schedules.get(tx, caller, schedule_id)
        return _schedules.change(tx, caller, schedule_id, _valid(lambda: body.change(old.timetable)))

    return ScheduleOut.of(await served.database.write(change))


@router.delete("/{schedule_id}", status_code=status.HTTP_204_NO_CONTENT, responses=_WRITE)
async def delete_schedule(schedule_id: ScheduleId, caller: Caller, served: Served) -> Response:
    """Removes the schedule. Its sessions stay."""
    await served.database.write(lambda tx: _schedules.delete(tx, caller, schedule_id))
    return Response(status_code=status.HTTP_204_NO_CONTENT)


def _valid(make: Callable[[], T]) -> T:
    try:
        return make()
    except ValueError as error:
        field = "timezone" if "time zone" in str(error) else "schedule"
        raise InvalidRequest(
            "The schedule is not valid.", errors=[FieldError(field=field, message=str(error))]
        ) from None
