"""For operators: a GitHub App in two clicks, one here and one on GitHub's page."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from gitward.errors import FieldError
from gitward.github.app_key_files import NoRoom
from gitward.github.app_manifest import MadeApp, NotMade, is_organization
from gitward.github.app_permissions import REQUIRED, USEFUL
from gitward.github.app_registration import NotAllowed
from gitward.sessions import audit_log
from gitward.sessions.audit_log import Act
from gitward.store.database import PASSING_ERRORS
from gitward.web.content_policy import content_policy
from gitward.web.services import Served, WebServices
from gitward.web.signing_in import CheckedForm, Person, SignedInOperator, paths
from gitward.web.signing_in.dependencies import signing_in_of
from gitward.web.templating import render

log = logging.getLogger(__name__)
router = APIRouter(prefix=paths.APP_SETUP)
_ORIGIN_ONLY = "strict-origin-when-cross-origin"  # or the browser tells GitHub that the form came from nowhere
_ORGANIZATION = FieldError(
    field="Organization", message="must be its name in GitHub's addresses: letters, digits and hyphens"
)
_NOWHERE = "This server keeps no key, so the App that GitHub made has none here. Delete the App on GitHub."
Text = Annotated[str, Query(max_length=2000)]


@router.get("")
async def app_setup(person: SignedInOperator, served: Served) -> Response:
    """What will be asked of GitHub; or, once there is a key, how it comes into use."""
    return await _page(served, person)


@router.post("")
async def begin(request: Request, person: SignedInOperator, served: Served, form: CheckedForm) -> Response:
    """A page whose form goes to GitHub, with the manifest. A script sends it at once."""
    registration = served.app_registration
    if registration is None:
        return await _page(served, person, status=409)
    organization = form.get("organization", "").strip()
    if organization and not is_organization(organization):
        return await _page(served, person, errors=(_ORGANIZATION,), organization=organization, status=422)
    if await asyncio.to_thread(lambda: registration.files.is_there):
        return await _page(served, person, status=409)
    home = signing_in_of(request).hosts.base_url(request)
    try:
        onward = await registration.begin(
            person.csrf_token,
            home=home,
            returns_to=home + paths.APP_MADE,
            organization=organization,
            workflows=bool(form.get("workflows", "")),
        )
    except NoRoom as error:
        return await _page(served, person, problem=str(error), status=507)
    html = render(
        "app_setup_onward.html",
        person=person,
        address=onward.address,
        manifest=json.dumps(onward.manifest),
        server=served.github,
    )
    headers = {"Content-Security-Policy": content_policy(served.github), "Referrer-Policy": _ORIGIN_ONLY}
    return HTMLResponse(html, headers=headers)


@router.get(paths.APP_MADE.removeprefix(paths.APP_SETUP))
async def made(person: SignedInOperator, served: Served, state: Text = "", code: Text = "") -> Response:
    """Back from GitHub. The code is exchanged here, and the key goes to the disk and nowhere else."""
    if served.app_registration is None:
        return await _page(served, person, problem=_NOWHERE, status=409)
    try:
        app = await served.app_registration.finish(person.csrf_token, state=state, code=code)
    except (NotAllowed, NoRoom, NotMade) as error:
        log.warning("A GitHub App was not set up: %s", error)
        status = {NotAllowed: 403, NoRoom: 507, NotMade: 502}[type(error)]
        return await _page(served, person, problem=str(error), status=status)
    log.info("The private key of the GitHub App %s is in the data folder", app.id)
    await _note(served, person, app)
    return RedirectResponse(paths.APP_SETUP, status_code=303)


async def _note(served: WebServices, person: Person, app: MadeApp) -> None:
    """The key is kept by now: a database that is away must not tell the person that nothing was done."""
    what, named = "made a GitHub App", f"{app.slug} ({app.id})"
    try:
        await served.database.write(lambda tx: audit_log.note(tx, Act.OPERATOR, person.owner, what=what, app=named))
    except PASSING_ERRORS:
        log.exception("The audit log misses that %s %s %s", person.owner.subject, what, named)


async def _page(
    served: WebServices,
    person: Person,
    *,
    problem: str = "",
    errors: tuple[FieldError, ...] = (),
    organization: str = "",
    status: int = 200,
) -> Response:
    registration = served.app_registration
    permissions = [(*_PERMISSIONS[name], level) for name, level in {**REQUIRED, **USEFUL}.items()]
    if registration is None:
        html = render("app_setup_by_hand.html", person=person, problem=problem, permissions=permissions)
        return HTMLResponse(html, status_code=status)
    is_there, known = await asyncio.to_thread(lambda: (registration.files.is_there, registration.files.about()))
    html = render(
        "app_setup.html",
        person=person,
        problem=problem,
        errors=errors,
        organization=organization,
        is_there=is_there,
        known=known,
        key=registration.files.key,
        used_id=registration.used_id,
        server=served.github,
        permissions=permissions,
        workflows=registration.may_change_workflows,
    )
    return HTMLResponse(html, status_code=status)


# As GitHub's own pages call them, and what they are for.
_PERMISSIONS = {
    "contents": ("Contents", "clone, and push the session's branch"),
    "pull_requests": ("Pull requests", "open the session's pull request"),
    "metadata": ("Metadata", "every App has it"),
    "issues": ("Issues", "labels, and what a session's gh writes to its own issues"),
    "actions": ("Actions", "gh run list, gh run view"),
    "checks": ("Checks", "gh pr checks"),
    "statuses": ("Commit statuses", "gh pr checks"),
}
