"""Sign-in, sign-out and refusals stand in the audit log, without the secrets that made them."""

from __future__ import annotations

import httpx2

from browser import link_of, sign_in_by_link
from gitward.sessions import audit_log
from gitward.sessions.audit_log import AuditEntry, AuditFilter
from gitward.store.database import Database


async def lines(database: Database) -> list[AuditEntry]:
    return list(await database.read(lambda tx: audit_log.read_after(tx, AuditFilter(), after=0)))


async def test_who_signed_in_and_out(database: Database, http: httpx2.AsyncClient) -> None:
    token = await sign_in_by_link(database, http)
    cookie = http.cookies["gitward"]
    link = await link_of(database)
    await http.post("/sign-in", data={"link": "A" * 43})
    await http.post("/sign-in", data={"link": link}, headers={"Origin": "https://evil.example"})
    await http.post("/sign-out", data={"csrf_token": token})
    found = await lines(database)
    assert [each.act for each in found] == ["sign_in", "sign_in.refused", "sign_in.refused", "sign_out"]
    assert [each.owner.subject if each.owner else None for each in found] == ["dev", None, None, "dev"]
    assert not [secret for secret in (cookie, link, token) if secret in repr(found)]


async def test_a_sign_out_without_its_token_is_none(database: Database, http: httpx2.AsyncClient) -> None:
    await sign_in_by_link(database, http)
    await http.post("/sign-out")
    assert [each.act for each in await lines(database)] == ["sign_in"]
