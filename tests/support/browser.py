"""Browsers over ASGI, and pages that tell who looks and what was sent."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import httpx2
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from gitward.errors import HTTP_STATUS, RequestError
from gitward.identity import sign_ins
from gitward.sessions.model import now
from gitward.store.database import Database
from gitward.web.signing_in import CheckedForm, SignedIn, SignedInOperator, SigningIn, install

BASE = "http://localhost:8000"


@asynccontextmanager
async def browser(app: ASGIApp, base: str = BASE, *, origin: str | None = None) -> AsyncIterator[httpx2.AsyncClient]:
    """It keeps cookies, sends Origin with all that it asks, and follows nothing.

    :param origin: what it sends, if the browser knows the server by another name than `base`.
    """
    headers = {"Accept": "text/html,*/*", "Origin": origin or base}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=base, headers=headers) as client:
        yield client


def hidden(answer: httpx2.Response, name: str) -> str:
    """A hidden field of the page's form."""
    found = re.search(rf'name="{re.escape(name)}" value="([^"]*)"', answer.text)
    assert found, answer.text
    return found[1]


def pages_of(signing_in: SigningIn) -> FastAPI:
    app = FastAPI()
    install(app, signing_in)

    @app.exception_handler(RequestError)
    async def _refused(_: Request, error: RequestError) -> JSONResponse:
        return JSONResponse({"detail": error.detail}, HTTP_STATUS[error.code])

    @app.get("/new")
    @app.get("/")
    async def who(person: SignedIn) -> Response:
        told = {"subject": person.owner.subject, "operator": person.operator, "csrf": person.csrf_token}
        return JSONResponse({**told, "name": person.name, "issuer": person.owner.issuer})

    @app.post("/change")
    async def change(person: SignedIn, form: CheckedForm) -> Response:
        return JSONResponse({"subject": person.owner.subject, "field": form.get("field")})

    @app.get("/operator")
    async def operator(person: SignedInOperator) -> Response:
        return JSONResponse({"subject": person.owner.subject})

    return app


async def link_of(database: Database, subject: str = "dev", at: datetime | None = None) -> str:
    return await database.write(lambda tx: sign_ins.offer_link(tx, subject, at or now()))


async def sign_in_by_link(database: Database, client: httpx2.AsyncClient, subject: str = "dev") -> str:
    """The CSRF token of the sign-in."""
    answer = await client.post("/sign-in", data={"link": await link_of(database, subject)})
    assert answer.status_code == 303, answer.text
    token: str = (await client.get("/")).json()["csrf"]
    return token
