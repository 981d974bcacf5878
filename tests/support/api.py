"""The HTTP application over a real database, without a server, and what its answers must look like."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import httpx2
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI

from gitward.api import events
from gitward.api.app import create_app
from gitward.api.services import Check, Services
from gitward.cli.health import ServiceHealth
from gitward.identity.authorization import Holder, Rule
from gitward.identity.keys import mint, public_key
from gitward.identity.verifier import Verifier
from gitward.sessions.live_events import LiveEvents
from gitward.sessions.model import Owner
from tests_support import Backend

AUDIENCE = "gitward"
Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Api:
    """The application, and the key that its callers' tokens are signed with."""

    backend: Backend
    app: FastAPI
    services: Services
    key: Ed25519PrivateKey
    stopping: asyncio.Event

    def jwt(self, owner: Owner, lifetime: timedelta = timedelta(minutes=5)) -> str:
        return mint(self.key, subject=owner.subject, audience=AUDIENCE, lifetime=lifetime)

    @asynccontextmanager
    async def client(self, owner: Owner | None = None) -> AsyncIterator[httpx2.AsyncClient]:
        """A client with the owner's token, or with none."""
        headers = {"Authorization": f"Bearer {self.jwt(owner)}"} if owner else {}
        transport = httpx2.ASGITransport(self.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
            yield client


def expiry_of(token: str) -> float:
    """The token's `exp`."""
    return float(jwt.decode(token, options={"verify_signature": False})["exp"])


async def past(moment: float) -> None:
    """Waits until the clock of tokens has passed it."""
    while (left := moment - time.time()) >= 0:
        await asyncio.sleep(left + 0.001)


def make_api(
    backend: Backend,
    *,
    repo_globs: tuple[str, ...] = (),
    rules: tuple[Rule, ...] = (),
    checks: list[Check] | None = None,
    operators: tuple[Holder, ...] = (),
    is_proxied: bool = False,
) -> Api:
    limits = backend.places.limits
    watch = ServiceHealth(metrics=backend.metrics, database=backend.database, limits=limits)

    async def look() -> list[Check]:
        return checks or []

    key, stopping = Ed25519PrivateKey.generate(), asyncio.Event()
    services = Services(
        database=backend.database,
        feeds=LiveEvents(
            database=backend.database, journal=backend.journal, notifier=backend.notifier, encode=events.line
        ),
        sessions=backend.sessions,
        verifier=Verifier(public_key(key), audience=AUDIENCE),
        checks=look,
        metrics=partial(watch.render, with_figures=True),
        operators=operators,
        is_proxied=is_proxied,
        stopping=stopping,
        repo_globs=repo_globs,
        rules=rules,
    )
    return Api(backend=backend, app=create_app(services), services=services, key=key, stopping=stopping)


def problem(answer: httpx2.Response, status: int, code: str) -> Json:
    """The problem document of an answer, checked for its form."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: Json = answer.json()
    assert set(document) == {"type", "title", "status", "detail", "code", "errors"}
    assert (document["type"], document["status"], document["code"]) == ("about:blank", status, code)
    assert document["title"]
    assert document["detail"]
    assert all(set(error) == {"field", "message"} and error["message"] for error in document["errors"])
    return document


def fields(answer: httpx2.Response) -> list[str]:
    """The names of the values that were refused."""
    return [error["field"] for error in problem(answer, 422, "invalid_request")["errors"]]
