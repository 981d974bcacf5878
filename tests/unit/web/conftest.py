"""The pages over a real database, without a server, and a browser that is signed in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api import make_api
from browser import BASE, browser, link_of
from gitward.cli.health import ServiceHealth
from gitward.cli.pages import pages_of
from gitward.cli.site import Site
from gitward.identity.authorization import local_holder
from gitward.identity.collaborators import Collaborators
from gitward.settings.fields import Settings
from gitward.store.database import Database
from gitward.web.signing_in import SigningIn
from gitward.web.signing_in.hosts import Hosts
from tests_support import Backend


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """Somebody who is signed in."""

    http: httpx2.AsyncClient
    database: Database
    csrf: str

    async def get(self, path: str, status: int = 200) -> str:
        answer = await self.http.get(path)
        assert answer.status_code == status, answer.text
        return answer.text

    async def post(self, path: str, status: int = 303, **fields: Any) -> httpx2.Response:
        answer = await self.http.post(path, data={"csrf_token": self.csrf, **fields})
        assert answer.status_code == status, answer.text
        return answer


def site_of(backend: Backend, tmp_path: Path, collaborators: Collaborators | None = None) -> Site:
    made = make_api(backend, repo_globs=("acme/*",))
    services = replace(made.services, collaborators=collaborators)
    settings = Settings(**{"GITWARD_DATA_DIR": tmp_path})  # type: ignore[arg-type]  # by its alias
    watch = ServiceHealth(metrics=backend.metrics, database=backend.database, limits=backend.places.limits)
    sign_in = SigningIn(backend.database, hosts=Hosts(), operators=(local_holder("olga"),))
    pages = pages_of(services, watch=watch, sign_in=sign_in, settings=settings, with_worker=False)
    return Site(made.app, pages)


@pytest.fixture
def site(backend: Backend, tmp_path: Path) -> Site:
    return site_of(backend, tmp_path)


async def visit(site: Site, backend: Backend, subject: str) -> AsyncIterator[Visitor]:
    async with browser(site) as http:
        answer = await http.post("/sign-in", data={"link": await link_of(backend.database, subject)})
        assert answer.status_code == 303, answer.text
        page = (await http.get("/")).text
        csrf = page.partition('name="csrf_token" value="')[2].partition('"')[0]
        assert csrf
        assert str(http.base_url).startswith(BASE)
        yield Visitor(http=http, database=backend.database, csrf=csrf)


@pytest.fixture
async def alices(site: Site, backend: Backend) -> AsyncIterator[Visitor]:
    async for each in visit(site, backend, "alice"):
        yield each


@pytest.fixture
async def bobs(site: Site, backend: Backend) -> AsyncIterator[Visitor]:
    async for each in visit(site, backend, "bob"):
        yield each


@pytest.fixture
async def olgas(site: Site, backend: Backend) -> AsyncIterator[Visitor]:
    """An operator's."""
    async for each in visit(site, backend, "olga"):
        yield each
