"""The operator's page: workers, queue, limits, mirrors, agents, the token's health, failures, and where time goes."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from gitward.errors import Forbidden
from gitward.sessions.operator_figures import read_operator_figures
from gitward.web.charts import days_of, steps_of
from gitward.web.services import Served
from gitward.web.signing_in import SignedIn
from gitward.web.templating import render

router = APIRouter()
GUARD = "limit "  # so begin the names of checks that tell how a sandbox is limited


@router.get("/operator")
async def operator(person: SignedIn, served: Served) -> HTMLResponse:
    """For operators only: it tells of everybody's runs, though of nobody's work."""
    if not person.operator:
        raise Forbidden("Only operators may see this page. GITWARD_OPERATORS says who they are.")
    facts = await served.facts()
    figures = await served.database.read(read_operator_figures)
    offers, environments = await asyncio.to_thread(lambda: (served.offers(), served.environments()))
    html = await asyncio.to_thread(
        lambda: render(
            "operator.html",
            person=person,
            facts=facts,
            checks=[each for each in facts.checks if not each.name.startswith(GUARD)],
            guards=[each for each in facts.checks if each.name.startswith(GUARD)],
            figures=figures,
            offers=offers,
            environments=environments,
            days=days_of(figures.days),
            steps=steps_of(figures.steps),
        )
    )
    return HTMLResponse(html)
