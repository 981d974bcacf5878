"""A person's schedules: when each comes next, what it made, and pausing, resuming and deleting them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from gitward.sessions.overview import ScheduledSession, sessions_of_schedules
from gitward.sessions.schedules import Schedule, ScheduleChange, ScheduleService
from gitward.store.database import Transaction
from gitward.web.rows import mark_of_state
from gitward.web.services import Served
from gitward.web.signing_in import CheckedForm, SignedIn
from gitward.web.templating import render

router = APIRouter(prefix="/schedules")
_schedules = ScheduleService()
SAID = {"paused": "Paused.", "resumed": "Resumed. Missed times are not made up for.", "deleted": "Deleted."}


@dataclass(frozen=True, kw_only=True)
class ScheduleShown:
    schedule: Schedule
    sessions: Sequence[ScheduledSession]

    @property
    def text(self) -> str:
        instruction = self.schedule.template.instruction
        return instruction.prompt or instruction.command or "checks out, and makes a branch"


@router.get("")
async def schedules(person: SignedIn, served: Served, said: str = "") -> HTMLResponse:
    def look(tx: Transaction) -> list[ScheduleShown]:
        found = _schedules.list(tx, person.owner)
        made = sessions_of_schedules(tx, person.owner, [each.id for each in found])
        return [ScheduleShown(schedule=each, sessions=made.get(each.id, ())) for each in found]

    shown = await served.database.read(look)
    html = render(
        "schedules.html", person=person, schedules=shown, said=SAID.get(said, ""), mark_of_state=mark_of_state
    )
    return HTMLResponse(html)


@router.post("/{schedule_id}/pause")
async def pause(schedule_id: str, person: SignedIn, served: Served, form: CheckedForm) -> Response:
    """Or, with `paused=false`, goes on."""
    paused = form.get("paused", "true") == "true"
    change = ScheduleChange(paused=paused)
    await served.database.write(lambda tx: _schedules.change(tx, person.owner, schedule_id, change))
    return _back("paused" if paused else "resumed")


@router.post("/{schedule_id}/delete")
async def delete(schedule_id: str, person: SignedIn, served: Served, _: CheckedForm) -> Response:
    """Its sessions stay."""
    await served.database.write(lambda tx: _schedules.delete(tx, person.owner, schedule_id))
    return _back("deleted")


def _back(said: str) -> Response:
    return RedirectResponse(f"/schedules?said={said}", status_code=303)
