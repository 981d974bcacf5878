"""People sign in at a real issuer (oidc-provider), stay signed in by its refresh tokens, and sign out there too."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from browser import BASE, browser, pages_of
from gitward.identity.authorization import parse_operators
from gitward.identity.code_flow import Client, CodeFlow
from gitward.identity.oidc import Issuer
from gitward.secrets import Secret
from gitward.sessions.model import now
from gitward.store import schema
from gitward.store.database import Database
from gitward.web.signing_in import SigningIn
from gitward.web.signing_in.hosts import Hosts
from real_issuer import RealIssuer, consent, real_issuer

CALLBACK, SIGNED_OUT = f"{BASE}/sign-in/callback", f"{BASE}/signed-out"
SECRET = "the-client's secret: is long & odd+"


@dataclass(frozen=True, kw_only=True)
class World:
    issuer: RealIssuer
    signing_in: SigningIn
    app: FastAPI

    async def sign_in(self, client: httpx2.AsyncClient, name: str = "alice", wanted: str = "/") -> httpx2.Response:
        """The answer to the callback."""
        return await client.get(await self.callback_of(client, name, wanted))

    async def callback_of(self, client: httpx2.AsyncClient, name: str = "alice", wanted: str = "/") -> str:
        start = await client.get("/sign-in/start", params={"next": wanted})
        assert start.status_code == 303, start.text
        async with httpx2.AsyncClient(trust_env=False) as at:
            return await consent(at, start.headers["location"], name, BASE)


@asynccontextmanager
async def world(
    database: Database, folder: Path, *, secret: str | None = SECRET, **options: Any
) -> AsyncIterator[World]:
    told = {"client_id": "gitward:web", "client_secret": secret, "redirect_uri": CALLBACK}
    async with (
        real_issuer(folder, **told, post_logout_redirect_uri=SIGNED_OUT, **options) as real,
        httpx2.AsyncClient(trust_env=False) as http,
    ):
        issuer = Issuer(real.url, http, ask_again_seconds=0.01, wait_seconds=60.0)
        client = Client(
            id="gitward:web",
            secret=Secret(secret) if secret else None,
            scopes="openid profile groups",
            claims=frozenset({"groups"}),
        )
        signing_in = SigningIn(
            database,
            hosts=Hosts(BASE),
            operators=parse_operators("groups=ops", [real.url]),
            flow=CodeFlow(issuer, client, http),
            is_local=False,
        )
        yield World(issuer=real, signing_in=signing_in, app=pages_of(signing_in))
        await signing_in.stop()
        await issuer.stop()


@pytest.mark.parametrize("by_userinfo", [False, True])
async def test_a_person_signs_in_and_out(database: Database, tmp_path: Path, by_userinfo: bool) -> None:
    groups = {"alice": ["dev", "ops"], "bob": ["dev"]}
    async with (
        world(database, tmp_path, groups=groups, claims_by_userinfo=by_userinfo) as here,
        browser(here.app) as alice,
        browser(here.app) as bob,
    ):
        first = await alice.get("/new?repo=a")
        assert first.headers["location"] == "/sign-in?next=/new%3Frepo%3Da"
        page = await alice.get(first.headers["location"])
        assert f"{BASE}/sign-in/start?next=/new%3Frepo%3Da" in unescape(page.text)
        back = await here.sign_in(alice, wanted="/new?repo=a")
        assert (back.status_code, back.headers["location"]) == (303, "/new?repo=a")
        told = (await alice.get("/")).json()
        assert (told["subject"], told["issuer"], told["operator"]) == ("alice", here.issuer.url, True)
        assert told["name"] == "Person alice"
        await here.sign_in(bob, "bob")
        assert (await bob.get("/")).json()["operator"] is False
        assert (await bob.get("/operator")).status_code == 403
        await _signs_out_at_the_issuer(alice, told["csrf"])
        assert (await bob.get("/")).status_code == 200


async def _signs_out_at_the_issuer(client: httpx2.AsyncClient, token: str) -> None:
    out = await client.post("/sign-out", data={"csrf_token": token})
    assert out.status_code == 200
    assert (await client.get("/")).status_code == 303
    where = out.headers["refresh"].removeprefix("0; url=")
    async with httpx2.AsyncClient(trust_env=False) as at:
        asked = await at.get(where)
        assert asked.status_code == 200, asked.text
        fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', asked.text))
        action = re.search(r'action="([^"]+)"', asked.text)
        assert action
        done = await at.post(unescape(action[1]), data={**fields, "logout": "yes"})
        assert done.headers["location"] == SIGNED_OUT


async def test_a_public_client_signs_in_by_pkce_alone(database: Database, tmp_path: Path) -> None:
    async with world(database, tmp_path, secret=None) as here, browser(here.app) as client:
        assert (await here.sign_in(client)).status_code == 303
        assert (await client.get("/")).status_code == 200


async def test_a_sign_in_is_renewed_once_however_many_ask(database: Database, tmp_path: Path) -> None:
    """oidc-provider takes a refresh token once and ends everything when it comes twice."""
    async with world(database, tmp_path, seconds=5, client={"scope": "openid profile groups"}) as here:
        second = SigningIn(database, hosts=Hosts(BASE), flow=here.signing_in.flow, is_local=False)  # another process
        async with browser(here.app) as client, browser(pages_of(second)) as other:
            await here.sign_in(client)
            other.cookies.update(client.cookies)
            for _ in range(3):
                await database.write(_expire)
                answers = await asyncio.gather(*(each.get("/") for each in (client, other) for _ in range(10)))
                assert {answer.status_code for answer in answers} == {200}
            await second.stop()


def _expire(tx: Any) -> int:
    return int(tx.execute(sa.update(schema.sign_ins).values(expires_at=now())).rowcount)


async def test_without_a_refresh_token_the_sign_in_ends_with_its_token(database: Database, tmp_path: Path) -> None:
    async with world(database, tmp_path, refresh=False) as here, browser(here.app) as client:
        await here.sign_in(client)
        assert (await client.get("/")).status_code == 200
        await database.write(_expire)
        assert (await client.get("/")).status_code == 303


async def test_a_rotation_disturbs_nobody_and_a_lost_grant_ends_the_sign_in(database: Database, tmp_path: Path) -> None:
    async with world(database, tmp_path) as here, browser(here.app) as client, browser(here.app) as late:
        await here.sign_in(client)
        await here.issuer.rotate("second")
        assert (await here.sign_in(late, "bob")).status_code == 303
        assert (await late.get("/")).json()["subject"] == "bob"
        await here.issuer.rotate("third")  # and alice's refresh token is gone
        await database.write(_expire)
        assert (await client.get("/")).status_code == 303
        count = sa.select(sa.func.count()).select_from(schema.sign_ins)
        assert await database.read(lambda tx: tx.execute(count).scalar_one()) == 1


async def test_an_answer_works_once_and_in_its_browser_only(database: Database, tmp_path: Path) -> None:
    async with world(database, tmp_path) as here, browser(here.app) as victim, browser(here.app) as mallory:
        where = await here.callback_of(mallory, "mallory")
        assert (await victim.get(where)).status_code == 400
        await victim.get("/sign-in/start")
        assert (await victim.get(where)).status_code == 400
        assert "gitward" not in victim.cookies
        assert (await mallory.get(where)).status_code == 303
        kept = mallory.cookies["gitward"]
        assert (await mallory.get(where)).status_code == 403
        assert mallory.cookies["gitward"] == kept


async def test_two_tabs_sign_in_side_by_side(database: Database, tmp_path: Path) -> None:
    async with world(database, tmp_path) as here, browser(here.app) as client:
        first, second = await here.callback_of(client, wanted="/a"), await here.callback_of(client, wanted="/b")
        assert (await client.get(first)).headers["location"] == "/a"
        assert (await client.get(second)).headers["location"] == "/b"


async def test_the_database_holds_no_token(database: Database, tmp_path: Path) -> None:
    async with world(database, tmp_path) as here, browser(here.app) as client:
        await here.sign_in(client)
        rows = await database.read(lambda tx: tx.execute(sa.select(schema.sign_ins)).all())
        assert rows[0].sealed
        assert "eyJ" not in repr(rows)
        assert client.cookies["gitward"] not in repr(rows)
        assert SECRET not in repr(rows)
