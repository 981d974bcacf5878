"""One session: the page, and what a person can do with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from gitward.errors import FieldError, InvalidRequest, NotFound
from gitward.sessions import run_log, webhooks
from gitward.sessions.model import Event, Run, Session
from gitward.sessions.publish_request import PublishChange
from gitward.sessions.service import SessionChange
from gitward.sessions.webhook_targets import host_of
from gitward.sessions.webhooks import Delivery
from gitward.store.database import Transaction
from gitward.web.content.terminal import Terminal
from gitward.web.conversation import Conversation
from gitward.web.fields import budget_of, budget_texts, run_fields
from gitward.web.live.boards import View, view_of
from gitward.web.reasons import remedy
from gitward.web.rows import mark_of
from gitward.web.services import Served, WebServices
from gitward.web.signing_in import CheckedForm, Person, SignedIn
from gitward.web.signing_in.forms import Form
from gitward.web.templating import part, render
from gitward.web.timeline import segments_of

router = APIRouter(prefix="/s")
pull_requests = APIRouter()
FIRST_LINES = 400  # of the output that the page comes with; a script adds what comes while it is open
FIRST_CHARACTERS = 256 * 1024
MOST_DELIVERIES = 20  # the API has more
SAID = {
    "created": "The session is queued.",
    "queued": "Queued.",
    "cancelled": "Cancelling. The work so far is kept.",
    "archived": "Archived.",
    "unarchived": "Out of the archive.",
    "published": "The kept work is being published.",
}


@dataclass(frozen=True, kw_only=True)
class DeliveryShown:
    delivery: Delivery
    target: str  # a host, or the name of one of the server's webhooks: a path may be a secret


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What the page is made of."""

    view: View
    talk: Conversation
    output: run_log.Output
    seq: int  # of the last event that is in it
    deliveries: Sequence[DeliveryShown]


@pull_requests.get("/sessions/{session_id}")
async def from_pull_request(session_id: str, _: SignedIn) -> Response:
    """Pull requests link here. Scripts get the API's answer at the same address."""
    return RedirectResponse(f"/s/{quote(session_id)}", status_code=303)


@router.get("/{session_id}")
async def session_page(
    session_id: str, person: SignedIn, served: Served, run: int | None = None, said: str = ""
) -> HTMLResponse:
    """The session with one of its runs: the latest, unless another number is asked for."""
    html = await served.database.read(lambda tx: _page(tx, served, person, session_id, run, said=said))
    return HTMLResponse(html)


def _page(
    tx: Transaction,
    served: WebServices,
    person: Person,
    session_id: str,
    number: int | None,
    *,
    said: str = "",
    form: Form | None = None,
    errors: Sequence[FieldError] = (),
) -> str:
    shown = _shown(tx, served, person, session_id, number)
    session, run = shown.view.session, shown.view.run
    budget = budget_texts(form) if form is not None else budget_of(run.instruction.budget)
    return render(
        "session.html",
        person=person,
        session=session,
        run=run,
        runs=[each for each in reversed(session.runs) if each.id != run.id],
        head=head_parts(served.github, shown.view, shown.talk),
        talk=shown.talk,
        rows=_rows(shown.output.pieces),
        has_earlier=shown.output.has_earlier,
        open_line=bool(shown.output.pieces) and not str(shown.output.pieces[-1].data["text"]).endswith("\n"),
        seq=shown.seq,
        said=SAID.get(said, ""),
        draft=form.get("text", "") if form is not None else "",
        errors=errors,
        is_prompt=run.instruction.prompt is not None,
        default=run.instruction,
        latest=run is session.runs[-1],
        deliveries=shown.deliveries,
        wants_budget=run.reason == "budget_exhausted" or bool(errors),
        budget=budget,
    )


def _shown(tx: Transaction, served: WebServices, person: Person, session_id: str, number: int | None) -> Shown:
    session = served.sessions.get_session(tx, person.owner, session_id)
    run = _run(tx, served, person, session, number)
    seq = run_log.last_seq(tx, session_id)
    talk = Conversation()
    events, _ = run_log.told(tx, session_id, run.id, until=seq)
    talk.add_all(events)
    output = run_log.output_before(tx, session_id, run.id, before=seq + 1, lines=FIRST_LINES, most=FIRST_CHARACTERS)
    return Shown(
        view=view_of(tx, session, run),
        talk=talk,
        output=output,
        seq=seq,
        deliveries=[_delivery(each, url) for each, url in webhooks.listed(tx, session_id)[:MOST_DELIVERIES]],
    )


def _delivery(delivery: Delivery, url: str | None) -> DeliveryShown:
    is_own = delivery.target == webhooks.OF_SESSION and url is not None
    return DeliveryShown(delivery=delivery, target=host_of(url) if is_own and url else delivery.target)


def _run(tx: Transaction, served: WebServices, person: Person, session: Session, number: int | None) -> Run:
    if number is None or number == session.runs[-1].number:
        return session.runs[-1]
    found = served.sessions.list_runs(tx, person.owner, session.id, before=number + 1, limit=1)
    if not found or found[0].number != number:
        raise NotFound("This session has no such run.")
    return found[0]


def _rows(pieces: Sequence[Event]) -> list[dict[str, Any]]:
    """The lines of output; those that several events make together are one."""
    terminal, rows = Terminal(), []
    texts: list[tuple[str, str]] = []
    for event in pieces:
        step, text = str(event.data.get("step")), str(event.data["text"])
        if texts and texts[-1][0] == step:
            texts[-1] = (step, texts[-1][1] + text)
        else:
            texts.append((step, text))
    for step, text in texts:
        rows += [{"step": step, "pieces": line} for line in terminal.lines(text)]
    return rows[-FIRST_LINES:]


def head_parts(github: str, view: View, talk: Conversation) -> list[str]:
    """The parts of the page that change as a whole."""
    session, run = view.session, view.run
    values: Mapping[str, Any] = {
        "session": session,
        "run": run,
        "mark": mark_of(replace(session, runs=(run,), state=run.state)),
        "segments": segments_of(run),
        "talk": talk,
        "remedy": remedy(run.reason),
        "has_work": view.has_work,
        "has_submodules": view.has_submodules,
        "newest": session.runs[-1],
        "github": github,
    }
    return [str(part("session_parts.html", name)(values)) for name in ("head", "steps", "outcome", "side")]


@router.post("/{session_id}/follow-up")
async def follow_up(session_id: str, person: SignedIn, served: Served, form: CheckedForm) -> Response:
    """Queues a run behind the others. What cannot be taken comes back with the words that were written."""
    try:
        await served.requests.ask_again(person, session_id)
        instruction = await served.requests.instruction(person, run_fields(form))

        def add(tx: Transaction) -> None:
            served.sessions.add_run(
                tx,
                person.owner,
                session_id,
                instruction,
                check=lambda session: served.requests.admit(tx, person, session, instruction),
            )

        await served.database.write(add)
    except InvalidRequest as error:
        errors = error.errors or (FieldError(field="", message=error.detail),)
        html = await served.database.read(
            lambda tx: _page(tx, served, person, session_id, None, form=form, errors=errors)
        )
        return HTMLResponse(html, status_code=422)
    return _back(session_id, "queued")


@router.post("/{session_id}/cancel")
async def cancel(session_id: str, person: SignedIn, served: Served, _: CheckedForm) -> Response:
    await served.database.write(lambda tx: served.sessions.cancel(tx, person.owner, session_id))
    return _back(session_id, "cancelled")


@router.post("/{session_id}/archive")
async def archive(session_id: str, person: SignedIn, served: Served, form: CheckedForm) -> Response:
    archived = form.get("archived", "true") == "true"
    change = SessionChange(archived=archived)
    await served.database.write(lambda tx: served.sessions.change(tx, person.owner, session_id, change))
    return _back(session_id, "archived" if archived else "unarchived")


@router.post("/{session_id}/unarchive")
async def unarchive(session_id: str, person: SignedIn, served: Served, _: CheckedForm) -> Response:
    change = SessionChange(archived=False)
    await served.database.write(lambda tx: served.sessions.change(tx, person.owner, session_id, change))
    return _back(session_id, "unarchived")


@router.post("/{session_id}/runs/{run_id}/retry")
async def retry(session_id: str, run_id: str, person: SignedIn, served: Served, _: CheckedForm) -> Response:
    """The same instruction again."""

    def again(tx: Transaction) -> None:
        served.sessions.retry(
            tx, person.owner, session_id, run_id, check=lambda session: served.requests.admit(tx, person, session)
        )

    await served.requests.ask_again(person, session_id)
    await served.database.write(again)
    return _back(session_id, "queued")


@router.post("/{session_id}/runs/{run_id}/publish")
async def publish(session_id: str, run_id: str, person: SignedIn, served: Served, _: CheckedForm) -> Response:
    """What the run kept is pushed and proposed; no command runs."""

    def again(tx: Transaction) -> None:
        served.sessions.publish(
            tx,
            person.owner,
            session_id,
            run_id,
            PublishChange(),
            check=lambda session: served.requests.admit(tx, person, session),
        )

    await served.requests.ask_again(person, session_id)
    await served.database.write(again)
    return _back(session_id, "published")


def _back(session_id: str, said: str) -> Response:
    return RedirectResponse(f"/s/{session_id}?said={said}", status_code=303)
