"""A link signs a browser in once, by POST, within 10 minutes."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import httpx2
import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from browser import browser, hidden, link_of, sign_in_by_link
from gitward.identity import sign_ins
from gitward.sessions.model import Owner, now
from gitward.sessions.retention import Retention
from gitward.store import schema
from gitward.store.database import Database, Transaction


async def test_without_a_cookie_a_page_leads_to_the_sign_in_and_back(
    database: Database, http: httpx2.AsyncClient
) -> None:
    answer = await http.get("/?q=a")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/%3Fq%3Da")
    page = await http.get("/sign-in", params={"link": await link_of(database), "next": "/?q=a"})
    fields = {name: hidden(page, name) for name in ("link", "next")}
    assert (await http.post("/sign-in", data=fields)).headers["location"] == "/?q=a"
    assert (await http.get("/")).json()["subject"] == "dev"


async def test_previews_do_not_use_a_link_up(database: Database, app: FastAPI, http: httpx2.AsyncClient) -> None:
    link = await link_of(database)
    for _ in range(3):
        async with browser(app) as preview:
            assert (await preview.get("/sign-in", params={"link": link})).status_code == 200
            assert (await preview.head("/sign-in", params={"link": link})).status_code in {200, 405}
            assert not preview.cookies
    assert (await http.post("/sign-in", data={"link": link})).status_code == 303


async def test_a_link_works_once(database: Database, app: FastAPI, http: httpx2.AsyncClient) -> None:
    link = await link_of(database)
    assert (await http.post("/sign-in", data={"link": link})).status_code == 303
    async with browser(app) as other:
        refused = await other.post("/sign-in", data={"link": link})
        assert refused.status_code == 403
        assert "Run `gitward sign-in`" in refused.text
        assert not other.cookies


async def test_of_many_at_once_one_signs_in(database: Database, app: FastAPI) -> None:
    link = await link_of(database)

    async def attempt() -> int:
        async with browser(app) as client:
            return (await client.post("/sign-in", data={"link": link})).status_code

    answers = await asyncio.gather(*(attempt() for _ in range(20)))
    assert sorted(answers) == [303] + [403] * 19


async def test_a_link_lasts_ten_minutes(database: Database, http: httpx2.AsyncClient) -> None:
    late = await link_of(database, at=now() - timedelta(minutes=10, seconds=1))
    assert (await http.post("/sign-in", data={"link": late})).status_code == 403
    timely = await link_of(database, at=now() - timedelta(minutes=9))
    assert (await http.post("/sign-in", data={"link": timely})).status_code == 303


@pytest.mark.parametrize("link", ["", "x", "A" * 43, "A" * 43 + "=", "é" * 43, "A" * 100_000, "' OR 1=1 --"])
async def test_what_is_no_link_signs_nobody_in(database: Database, http: httpx2.AsyncClient, link: str) -> None:
    await link_of(database)
    assert (await http.post("/sign-in", data={"link": link})).status_code == 403
    assert not http.cookies


async def test_another_sites_page_cannot_use_a_link(database: Database, http: httpx2.AsyncClient) -> None:
    """Else it would sign its visitors in as somebody else."""
    link = await link_of(database)
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://localhost:8000.evil"}):
        assert (await http.post("/sign-in", data={"link": link}, headers=headers)).status_code == 403
    del http.headers["Origin"]
    assert (await http.post("/sign-in", data={"link": link})).status_code == 403
    cross = {"Sec-Fetch-Site": "cross-site"}
    assert (await http.post("/sign-in", data={"link": link}, headers=cross)).status_code == 403
    assert (
        await http.post("/sign-in", data={"link": link}, headers={"Sec-Fetch-Site": "same-origin"})
    ).status_code == 303


async def test_the_database_holds_no_secret(database: Database, http: httpx2.AsyncClient) -> None:
    link = await link_of(database)
    other = await link_of(database)
    await http.post("/sign-in", data={"link": link})
    cookie = http.cookies["gitward"]

    def everything(tx: Transaction) -> str:
        return repr([tx.execute(sa.select(table)).all() for table in (schema.sign_ins, schema.sign_in_links)])

    text = await database.read(everything)
    assert "dev" in text
    assert not [secret for secret in (link, other, cookie) if secret in text]


async def test_a_sign_in_replaces_the_one_before(database: Database, app: FastAPI, http: httpx2.AsyncClient) -> None:
    """A cookie that somebody else planted is not the one that gets signed in."""
    await sign_in_by_link(database, http)
    planted = http.cookies["gitward"]
    await sign_in_by_link(database, http, "root")
    assert http.cookies["gitward"] != planted
    async with browser(app) as other:
        other.cookies["gitward"] = planted
        assert (await other.get("/")).status_code == 303


async def test_a_sign_in_ends_after_its_hours(database: Database, http: httpx2.AsyncClient) -> None:
    await sign_in_by_link(database, http)
    past = sa.update(schema.sign_ins).values(expires_at=now(), ends_at=now())
    await database.write(lambda tx: tx.execute(past).rowcount)
    assert (await http.get("/")).status_code == 303
    await Retention(database, days=0).sweep()
    count = sa.select(sa.func.count()).select_from(schema.sign_ins)
    assert await database.read(lambda tx: tx.execute(count).scalar_one()) == 0


async def test_one_subject_has_few_sign_ins(database: Database) -> None:
    owner, at = Owner(issuer="gitward", subject="dev"), now()

    def begin(tx: Transaction) -> str:
        secret = sign_ins.new_secret()
        sign_ins.begin(tx, secret, owner=owner, claims={}, expires_at=at, ends_at=at + timedelta(hours=1))
        return secret

    secrets = [await database.write(begin) for _ in range(sign_ins.MOST_SIGN_INS + 3)]
    count = sa.select(sa.func.count()).select_from(schema.sign_ins)
    assert await database.read(lambda tx: tx.execute(count).scalar_one()) == sign_ins.MOST_SIGN_INS
    assert await database.read(lambda tx: sign_ins.find(tx, secrets[-1], at)) is not None
    assert await database.read(lambda tx: sign_ins.find(tx, secrets[0], at)) is None


async def test_links_do_not_heap_up(database: Database) -> None:
    for _ in range(sign_ins.MOST_LINKS + 5):
        await link_of(database)
    count = sa.select(sa.func.count()).select_from(schema.sign_in_links)
    assert await database.read(lambda tx: tx.execute(count).scalar_one()) == sign_ins.MOST_LINKS
