"""A new session. What the server would refuse is shown before it is posted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from gitward.agents.installed import Offer
from gitward.errors import Conflict, FieldError, InvalidRequest
from gitward.sessions.model import Session
from gitward.sessions.overview import last_session, used_repositories
from gitward.store.database import Transaction
from gitward.web.fields import budget_of, session_fields
from gitward.web.services import Environment, Served, WebServices
from gitward.web.signing_in import CheckedForm, Person, SignedIn
from gitward.web.signing_in.forms import Form
from gitward.web.templating import part, render

router = APIRouter()
_FIELDS = (
    "repo", "target_branch", "branch", "title", "kind", "text", "agent", "model", "budget_requests", "budget_tokens",
    "budget_usd", "budget_seconds", "timeout_minutes", "mode", "environment", "setup", "allow_workflows",
)  # fmt: skip


@router.get("/new")
async def new(request: Request, person: SignedIn, served: Served) -> HTMLResponse:
    """An empty form, with what the person chose last; an address may fill fields (`?repo=…`)."""

    def look(tx: Transaction) -> tuple[Session | None, Sequence[str]]:
        return last_session(tx, person.owner), used_repositories(tx, person.owner)

    last, used = await served.database.read(look)
    asked = {name: value for name, value in request.query_params.items() if name in _FIELDS}
    return await _form(served, person, {**_remembered(last), **asked}, used)


@router.post("/new")
async def create(person: SignedIn, served: Served, form: CheckedForm) -> Response:
    """Makes it and shows it; what cannot be taken comes back with all that was written."""
    try:
        wanted = replace(await served.requests.new_session(person, session_fields(form)), from_page=True)
        made = await served.database.write(lambda tx: served.sessions.create_session(tx, person.owner, wanted))
    except (InvalidRequest, Conflict) as error:
        errors = error.errors or (FieldError(field="", message=error.detail),)
        used = await served.database.read(lambda tx: used_repositories(tx, person.owner))
        return await _form(served, person, _values(form), used, errors=errors, status=422)
    return RedirectResponse(f"/s/{made.id}?said=created", status_code=303)


@router.post("/new/check")
async def check(person: SignedIn, served: Served, form: CheckedForm) -> HTMLResponse:
    """What would be refused of what is written so far; of fields that are still empty nothing is said."""
    body = session_fields(form)
    errors = await served.requests.refused(person, body)
    errors = [each for each in errors if body.get("repo") or each.field != "repo"]
    return HTMLResponse(str(part("new_parts.html", "refusals")([_named(each) for each in errors], checked=True)))


async def _form(
    served: WebServices,
    person: Person,
    values: Mapping[str, Any],
    used: Sequence[str],
    *,
    errors: Sequence[FieldError] = (),
    status: int = 200,
) -> HTMLResponse:
    offers, default, environments = await asyncio.to_thread(_choices, served)
    repositories = [*used, *(each for each in served.repositories if each not in set(used))]
    html = render(
        "new.html",
        person=person,
        values=dict.fromkeys(_FIELDS, "") | dict(values),
        repositories=repositories[:200],
        offers=offers,
        default_agent=default,
        environments=environments,
        errors=[_named(each) for each in errors],
    )
    return HTMLResponse(html, status_code=status)


def _choices(served: WebServices) -> tuple[Sequence[Offer], str | None, Sequence[Environment]]:
    return served.offers(), served.default_agent(), served.environments()


def _values(form: Form) -> dict[str, str]:
    return {name: form.get(name, "") for name in _FIELDS}


def _remembered(last: Session | None) -> dict[str, str]:
    """What the person chose last, but for the work itself."""
    if last is None:
        return {"kind": "command", "mode": "draft"}
    run = last.runs[0].instruction if last.runs else None
    values = {"repo": last.repo, "target_branch": last.target_branch or "", "mode": "draft", "kind": "command"}
    values |= {"environment": last.environment, "setup": last.setup if isinstance(last.setup, str) else ""}
    if run is not None:
        values |= {
            "kind": "prompt" if run.prompt is not None else "command",
            "mode": run.publish.mode.value,
            "agent": run.agent or "",
            "model": run.model or "",
            "timeout_minutes": str(run.timeout_seconds // 60) if run.timeout_seconds else "",
        }
        values |= {f"budget_{name}": text for name, text in budget_of(run.budget).items()}
    return values


_LABELS = {
    "repo": "Repository",
    "target_branch": "Target branch",
    "branch": "Own branch",
    "command": "Command",
    "prompt": "Prompt",
    "timeout_seconds": "Time limit",
    "allow_workflows": "Workflows",
    "publish.mode": "Publish",
}


def _named(error: FieldError) -> FieldError:
    """The field as the form calls it."""
    name = _LABELS.get(error.field) or error.field.replace("budget.", "budget: ").replace("_", " ").capitalize()
    return FieldError(field=name, message=error.message)
