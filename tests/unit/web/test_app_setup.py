"""A GitHub App from the operator's page: who may, what GitHub is asked, and where the key goes; and attacks on it."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import re
import stat
import threading
import time
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
import sqlalchemy as sa

from api import make_api
from app_keys import app_key
from browser import BASE, browser
from gitward.cli.health import ServiceHealth
from gitward.cli.pages import pages_of
from gitward.cli.site import Site
from gitward.github.app_permissions import REQUIRED, USEFUL
from gitward.identity.authorization import local_holder
from gitward.settings.fields import Settings
from gitward.store import schema
from gitward.store.database import Database
from gitward.web.signing_in import SigningIn, paths
from gitward.web.signing_in.hosts import Hosts
from gitward_standin import StandIn
from tests_support import Backend

from .conftest import Visitor, visit

GITHUB = "https://github.com"
DELETE = "delete the App on GitHub, then begin again."


@pytest.fixture
async def github(tmp_path: Path) -> AsyncIterator[StandIn]:
    made = StandIn(tmp_path / "github")
    made.add_user("octocat")
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o711)
    return folder


def site_with(backend: Backend, github: StandIn, data: Path, *, with_worker: bool = True, **more: Any) -> Site:
    made = make_api(backend)
    given = {"GITWARD_DATA_DIR": data, "GITWARD_UPSTREAM_API_URL": github.api_url, **more}
    settings = Settings(**given)
    watch = ServiceHealth(metrics=backend.metrics, database=backend.database, limits=backend.places.limits)
    sign_in = SigningIn(backend.database, hosts=Hosts(), operators=(local_holder("olga"), local_holder("otto")))
    pages = pages_of(made.services, watch=watch, sign_in=sign_in, settings=settings, with_worker=with_worker)
    return Site(made.app, pages)


@pytest.fixture
def site(backend: Backend, github: StandIn, data: Path) -> Site:
    return site_with(backend, github, data)


@pytest.fixture
async def ottos(site: Site, backend: Backend) -> AsyncIterator[Visitor]:
    """Another operator's."""
    async for each in visit(site, backend, "otto"):
        yield each


class Form:
    """What the page would have the browser post to GitHub."""

    def __init__(self, answer: httpx2.Response) -> None:
        assert answer.status_code == 200, answer.text
        found = re.search(r'<form method="post" action="([^"]+)" data-onward>', answer.text)
        assert found
        self.address = unescape(found[1])
        value = re.search(r'name="manifest" value="([^"]+)"', answer.text)
        assert value
        self.manifest: dict[str, Any] = json.loads(unescape(value[1]))

    @property
    def state(self) -> str:
        return self.address.partition("state=")[2]


async def begun(visitor: Visitor, **fields: str) -> Form:
    return Form(await visitor.post("/setup/app", status=200, **fields))


async def made_at_github(github: StandIn, form: Form) -> str:
    """Presses GitHub's button; where GitHub leads the browser, without the server's own part."""
    address = form.address.removeprefix(GITHUB).replace("/apps/new?", "/apps?")
    async with httpx2.AsyncClient(base_url=github.url, trust_env=False) as http:
        answer = await http.post(address, data={"manifest": json.dumps(form.manifest)})
    assert answer.status_code == 302, answer.text
    return str(answer.headers["location"]).removeprefix("http://localhost:8000")


def conversions(github: StandIn) -> list[str]:
    return [each.path for each in github.requests if "/app-manifests/" in each.path]


def key_of(data: Path) -> Path:
    return data / "github-app.pem"


def left_over(data: Path) -> list[str]:
    return [each.name for each in data.glob(".github-app-*")]


async def test_the_key_goes_to_the_disk_and_nowhere_else(
    olgas: Visitor, github: StandIn, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    form = await begun(olgas)
    answer = await olgas.http.get(await made_at_github(github, form))
    assert (answer.status_code, answer.headers["location"]) == (303, "/setup/app")
    key = key_of(data)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    pem = key.read_text()
    assert pem.startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert left_over(data) == []
    page = await olgas.get("/setup/app")
    slug = form.manifest["name"]
    assert f"{GITHUB}/apps/{slug}/installations/new" in page
    assert "GITHUB_APP_ID=300001" in page
    assert f"GITHUB_APP_PRIVATE_KEY_FILE={key}" in page
    secret = pem.splitlines()[1]
    assert secret not in page
    assert secret not in caplog.text
    assert all(secret.encode() not in row for row in rows_of(olgas.database))
    told = key.with_suffix(".json").read_text()
    assert set(json.loads(told)) == {"id", "slug", "page"}


def rows_of(database: Database) -> list[bytes]:
    with database.transaction() as tx:
        found = tx.execute(sa.select(schema.audit_log)).all()
    rows = [str(row).encode() for row in found]
    assert any(b"made a GitHub App" in row for row in rows)
    return rows


async def test_the_manifest_asks_for_the_least(olgas: Visitor) -> None:
    form = await begun(olgas)
    assert form.manifest["default_permissions"] == {**REQUIRED, **USEFUL}
    assert form.manifest["public"] is False
    assert form.manifest["default_events"] == []
    assert "hook_attributes" not in form.manifest
    assert form.manifest["redirect_url"] == "http://localhost:8000/setup/app/made"
    assert len(form.manifest["name"]) <= 34
    assert (await begun(olgas, workflows="on")).manifest["default_permissions"]["workflows"] == "write"


async def test_a_server_without_workflows_never_asks_for_them(backend: Backend, github: StandIn, data: Path) -> None:
    site = site_with(backend, github, data, GITWARD_ALLOW_WORKFLOWS="never")
    async for visitor in visit(site, backend, "olga"):
        assert "workflows" not in (await begun(visitor, workflows="on")).manifest["default_permissions"]


async def test_an_organization_gets_its_own_app(olgas: Visitor, github: StandIn, data: Path) -> None:
    form = await begun(olgas, organization="acme-inc")
    assert form.address.startswith(f"{GITHUB}/organizations/acme-inc/settings/apps/new?state=")
    assert (await olgas.http.get(await made_at_github(github, form))).status_code == 303
    app = github.site.apps.named(form.manifest["name"])
    assert app is not None
    assert app.owner.login == "acme-inc"
    assert key_of(data).exists()


@pytest.mark.parametrize("name", ["../x", "a/b", "a b", "-a", "x" * 40, "a?b", "é", "a&quot;", "a\r\nX: y"])
async def test_a_name_that_no_organization_has_leads_nowhere(olgas: Visitor, name: str) -> None:
    answer = await olgas.post("/setup/app", status=422, organization=name)
    assert "must be its name" in answer.text
    assert "data-onward" not in answer.text


async def test_only_that_one_page_lets_a_form_go_to_github(olgas: Visitor) -> None:
    onward = (await olgas.post("/setup/app", status=200)).headers["content-security-policy"]
    assert f"form-action 'self' {GITHUB};" in onward
    assert "script-src 'self'" in onward
    for path in ("/setup/app", "/operator", "/", "/setup/app/made"):
        assert "form-action 'self';" in (await olgas.http.get(path)).headers["content-security-policy"], path


async def test_the_form_names_the_configured_server(backend: Backend, github: StandIn, data: Path) -> None:
    ghe = "https://ghe.example"
    more: dict[str, Any] = {"GITHUB_SERVER_URL": ghe, "GITHUB_API_URL": f"{ghe}/api/v3"}
    async for visitor in visit(site_with(backend, github, data, **more), backend, "olga"):
        answer = await visitor.post("/setup/app", status=200)
        assert f"form-action 'self' {ghe};" in answer.headers["content-security-policy"]
        assert Form(answer).address.startswith(f"{ghe}/settings/apps/new?")


async def test_it_is_for_operators(alices: Visitor, github: StandIn) -> None:
    await alices.get("/setup/app", status=403)
    await alices.get("/setup/app/made?state=x&code=y", status=403)
    await alices.post("/setup/app", status=403)
    assert conversions(github) == []


async def test_a_server_without_a_worker_says_how_it_is_done_by_hand(
    backend: Backend, github: StandIn, data: Path
) -> None:
    """There may be several, and workers elsewhere: none of them would see what one of them keeps."""
    async for visitor in visit(site_with(backend, github, data, with_worker=False), backend, "olga"):
        page = await visitor.get("/setup/app")
        assert "Make the App by hand" in page
        assert "Pull requests" in page
        assert 'action="/setup/app"' not in page
        assert "data-onward" not in (await visitor.post("/setup/app", status=409)).text
        back = await visitor.get(f"/setup/app/made?state=x&code={'a' * 40}", status=409)
        assert "Delete the App on GitHub" in back
    assert conversions(github) == []
    assert list(data.iterdir()) == []


async def test_a_form_of_another_site_begins_nothing(olgas: Visitor) -> None:
    answer = await olgas.http.post("/setup/app", data={"csrf_token": "wrong"})
    assert answer.status_code == 403
    answer = await olgas.http.post(
        "/setup/app", data={"csrf_token": olgas.csrf}, headers={"Origin": "https://evil.example"}
    )
    assert answer.status_code == 403


async def test_the_code_of_somebody_whose_sign_in_has_ended_goes_nowhere(site: Site, github: StandIn) -> None:
    """What is wanted after the sign-in goes to the issuer, in the state."""
    where = "/setup/app/made?state=s&code=the-live-code"
    async with browser(site) as http:
        for headers in ({}, {"HX-Request": "true", "HX-Current-URL": f"{BASE}{where}"}):
            answer = await http.get(where, headers=headers)
            led = answer.headers.get("location") or answer.headers["hx-redirect"]
            assert led == "/sign-in?next=/setup/app"
        posted = await http.post("/setup/app", headers={"Referer": f"{BASE}{where}"})
        assert posted.headers["location"] == "/sign-in?next=/setup/app"
    assert paths.safe(where) == "/setup/app"  # what stands in a link of somebody else
    assert conversions(github) == []


@pytest.mark.parametrize("state", ["", "x", "A" * 43, "../../etc/passwd", "%00", "é" * 43, "A" * 1999])
async def test_an_answer_with_a_foreign_state_asks_github_nothing(
    olgas: Visitor, github: StandIn, data: Path, state: str
) -> None:
    await begun(olgas)
    query = urlencode({"state": state, "code": "a" * 40})
    page = await olgas.get(f"/setup/app/made?{query}", status=403)
    assert "belongs to no form that you sent" in page
    assert conversions(github) == []
    assert not key_of(data).exists()


async def test_a_state_serves_once(olgas: Visitor, github: StandIn, data: Path) -> None:
    where = await made_at_github(github, await begun(olgas))
    assert (await olgas.http.get(where)).status_code == 303
    before = key_of(data).read_bytes()
    assert "If another App was made now" in await olgas.get(where, status=507)
    assert key_of(data).read_bytes() == before
    key_of(data).unlink()
    assert DELETE in await olgas.get(where, status=403)
    assert len(conversions(github)) == 1


async def test_a_state_is_of_one_sign_in(olgas: Visitor, ottos: Visitor, github: StandIn, data: Path) -> None:
    where = await made_at_github(github, await begun(olgas))
    await ottos.get(where, status=403)
    assert conversions(github) == []
    assert not key_of(data).exists()
    assert (await olgas.http.get(where)).status_code == 303


async def test_a_state_is_good_for_ten_minutes(olgas: Visitor, github: StandIn, data: Path) -> None:
    where = await made_at_github(github, await begun(olgas))
    (file,) = (data / "github-app-states").iterdir()
    long_ago = time.time() - 601
    os.utime(file, (long_ago, long_ago))
    assert DELETE in await olgas.get(where, status=403)
    assert conversions(github) == []


async def test_old_and_many_states_go(olgas: Visitor, data: Path) -> None:
    states = data / "github-app-states"
    await begun(olgas)
    (old,) = states.iterdir()
    os.utime(old, (1, 1))
    for _ in range(60):
        await begun(olgas)
    assert not old.exists()
    assert len(list(states.iterdir())) == 50


ODD_CODES = ("", "../../user", "a/b", "x?y=z", "a b c d e f", "%2e%2e%2f", "é" * 10, "a" * 1999, "a\r\nHost: evil", "#")


@pytest.mark.parametrize("code", ODD_CODES)
async def test_a_code_with_odd_characters_reaches_nobody(
    olgas: Visitor, github: StandIn, data: Path, code: str
) -> None:
    form = await begun(olgas)
    page = await olgas.get(f"/setup/app/made?{urlencode({'state': form.state, 'code': code})}", status=502)
    assert "no code of a GitHub App" in page
    assert github.requests == []
    assert not key_of(data).exists()
    assert left_over(data) == []


async def test_a_code_that_github_does_not_know_is_told(olgas: Visitor, github: StandIn, data: Path) -> None:
    form = await begun(olgas)
    page = await olgas.get(f"/setup/app/made?state={form.state}&code={'a' * 40}", status=502)
    assert "GitHub does not know this code" in page
    assert "Delete the App on GitHub, then begin again." in page
    assert len(conversions(github)) == 1
    assert left_over(data) == []


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
async def test_what_is_there_is_never_overwritten(olgas: Visitor, github: StandIn, data: Path, kind: str) -> None:
    where = await made_at_github(github, await begun(olgas))
    key, elsewhere = key_of(data), data / "elsewhere"
    if kind == "file":
        key.write_text("mine")
    elif kind == "link":
        key.symlink_to(elsewhere)
    else:
        key.mkdir()
    page = await olgas.get(where, status=507)
    assert "never overwritten" in page
    assert DELETE in page
    assert conversions(github) == []  # the code is not spent: another form may still bring it
    assert not elsewhere.exists()
    if kind == "file":
        assert key.read_text() == "mine"
    await olgas.post("/setup/app", status=409)
    key.rename(data / "moved away")
    assert (await olgas.http.get(where)).status_code == 303  # the state is not spent either


async def test_of_two_at_once_the_second_overwrites_nothing(olgas: Visitor, github: StandIn, data: Path) -> None:
    """The other key comes while GitHub is asked."""
    where = await made_at_github(github, await begun(olgas))
    gate = github.gate(method="POST", path="*/conversions")
    asked = asyncio.create_task(olgas.http.get(where))
    await gate.reached.wait()
    key_of(data).write_text("another")
    gate.open()
    answer = await asked
    assert answer.status_code == 507
    assert "Another key was kept meanwhile" in answer.text
    assert DELETE in answer.text
    assert key_of(data).read_text() == "another"
    assert left_over(data) == []


async def test_a_database_that_is_away_by_then_does_not_hide_that_the_key_is_kept(
    olgas: Visitor, github: StandIn, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    where = await made_at_github(github, await begun(olgas))
    with olgas.database.transaction() as tx:
        tx.execute(sa.text("ALTER TABLE audit_log RENAME TO audit_log_away"))
    answer = await olgas.http.get(where)
    with olgas.database.transaction() as tx:
        tx.execute(sa.text("ALTER TABLE audit_log_away RENAME TO audit_log"))
    assert (answer.status_code, answer.headers.get("location")) == (303, "/setup/app")
    assert key_of(data).exists()
    assert "The audit log misses that olga made a GitHub App" in caplog.text


async def test_a_disk_that_cannot_link_is_found_before_the_code_is_spent(
    olgas: Visitor, github: StandIn, data: Path
) -> None:
    where = await made_at_github(github, await begun(olgas))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "link", not_permitted)
        page = await olgas.get(where, status=507)
    assert "Operation not permitted. Mend that and load this page again" in page
    assert conversions(github) == []
    assert left_over(data) == []
    assert (await olgas.http.get(where)).status_code == 303


def not_permitted(*_: object) -> None:
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


async def test_a_key_that_is_being_kept_is_kept_whatever_ends(
    olgas: Visitor, github: StandIn, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller is cancelled while a thread fills the file: the code is spent by then."""
    loop, reached, go_on, fsync = asyncio.get_running_loop(), asyncio.Event(), threading.Event(), os.fsync

    def wait_and_sync(number: int) -> None:
        loop.call_soon_threadsafe(reached.set)
        go_on.wait(60)
        fsync(number)

    where = await made_at_github(github, await begun(olgas))
    monkeypatch.setattr(os, "fsync", wait_and_sync)
    asked = asyncio.create_task(olgas.http.get(where))
    await reached.wait()
    asked.cancel()
    for _ in range(10):  # turns of the loop, in which the cancellation reaches whoever waits
        await asyncio.sleep(0)
    go_on.set()
    await asyncio.wait({asked})
    assert asked.cancelled()
    assert key_of(data).read_text().startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert left_over(data) == []


async def test_what_another_process_has_just_taken_hinders_nobody(olgas: Visitor, data: Path) -> None:
    """A name that is listed, and is nothing when it is looked at."""
    await begun(olgas)
    for folder, name in ((data / "github-app-states", "taken"), (data, ".github-app-taken")):
        (folder / name).symlink_to("nowhere")
    await begun(olgas)


NO_KEY = json.dumps({"id": 1, "slug": "x", "html_url": "https://github.com/apps/x", "pem": "no key"}).encode()
LONG = json.dumps(
    {"id": 1, "slug": "x", "html_url": "https://github.com/apps/x", "pem": app_key()[0].decode(), "more": "x" * 300_000}
).encode()


@pytest.mark.parametrize(
    ("status", "body"),
    [(201, NO_KEY), (201, b"[]"), (201, b"no json"), (201, LONG), (500, b"{}"), (403, b"{}"), (0, b"")],
    ids=["no key", "a list", "no json", "too long", "500", "403", "cut off"],
)
async def test_an_answer_without_a_key_leaves_nothing(
    olgas: Visitor, github: StandIn, data: Path, status: int, body: bytes
) -> None:
    form = await begun(olgas)
    github.fault(method="POST", path="*/conversions", status=status, body=body)
    page = await olgas.get(f"/setup/app/made?state={form.state}&code={'a' * 40}", status=502)
    assert 'role="alert"' in page
    assert DELETE in page.replace("Delete", "delete")
    assert not key_of(data).exists()
    assert left_over(data) == []


async def test_an_address_of_another_server_is_not_shown(olgas: Visitor, github: StandIn, data: Path) -> None:
    """GitHub's answer names the App's page; the install link leads to the configured server whatever it says."""
    form = await begun(olgas)
    told = {"id": 7, "slug": "my-app", "html_url": "javascript:alert(1)", "pem": app_key()[0].decode()}
    github.fault(method="POST", path="*/conversions", status=201, body=json.dumps(told).encode())
    assert (await olgas.http.get(f"/setup/app/made?state={form.state}&code={'a' * 40}")).status_code == 303
    page = await olgas.get("/setup/app")
    assert "javascript:" not in page
    assert f"{GITHUB}/apps/my-app/installations/new" in page
