"""A form changes something only when a page of ours sent it, for the sign-in that the page was made for."""

from __future__ import annotations

import httpx2
import pytest
from fastapi import FastAPI

from browser import BASE, browser, link_of, pages_of, sign_in_by_link
from gitward.store.database import Database
from gitward.web.signing_in import SigningIn
from gitward.web.signing_in.hosts import Hosts

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_a_form_of_ours_is_taken(database: Database, http: httpx2.AsyncClient) -> None:
    token = await sign_in_by_link(database, http)
    sent = await http.post("/change", data={"csrf_token": token, "field": "Grüße & +"})
    assert sent.json() == {"subject": "dev", "field": "Grüße & +"}
    by_header = await http.post("/change", data={"field": "x"}, headers={"X-CSRF-Token": token})
    assert by_header.json() == {"subject": "dev", "field": "x"}
    assert (await http.post("/change", headers={"X-CSRF-Token": token})).json()["field"] is None


async def test_a_form_without_its_token_is_refused(database: Database, app: FastAPI, http: httpx2.AsyncClient) -> None:
    await sign_in_by_link(database, http)
    async with browser(app) as other:
        anothers = await sign_in_by_link(database, other, "mallory")
    for token in ("", "x", anothers, http.cookies["gitward"], "é"):
        refused = await http.post("/change", data={"csrf_token": token, "field": "x"})
        assert (refused.status_code, refused.json()["detail"][:30]) == (403, "This form belongs to an earlie")


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example", "null", "", "http://localhost:8001", "http://localhost", "https://localhost:8000",
        "http://localhost:8000.evil.example", "http://localhost:8000@evil.example", "http://[::1", "http://localhost:x",
        "file://", "http://evil.example#http://localhost:8000",
    ],
)  # fmt: skip
async def test_a_form_of_another_origin_is_refused(database: Database, http: httpx2.AsyncClient, origin: str) -> None:
    token = await sign_in_by_link(database, http)
    refused = await http.post("/change", data={"csrf_token": token}, headers={"Origin": origin})
    assert refused.status_code == 403
    assert (await http.post("/change", data={"csrf_token": token})).status_code == 200


async def test_a_form_without_origin_is_refused(database: Database, http: httpx2.AsyncClient) -> None:
    token = await sign_in_by_link(database, http)
    del http.headers["Origin"]
    assert (await http.post("/change", data={"csrf_token": token})).status_code == 403


async def test_a_form_without_a_cookie_leads_to_the_sign_in_and_back_to_its_page(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/change", headers={"Referer": f"{BASE}/new?repo=a"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/new%3Frepo%3Da")


async def test_a_part_of_a_page_sends_the_whole_page_to_the_sign_in(http: httpx2.AsyncClient) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": f"{BASE}/?q=1"}
    answer = await http.get("/", headers=headers)
    assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/sign-in?next=/%3Fq%3D1")


async def test_forms_have_limits(database: Database, http: httpx2.AsyncClient) -> None:
    token = await sign_in_by_link(database, http)
    headers = {"X-CSRF-Token": token}
    long = await http.post("/change", data={"field": "x" * 1_100_000}, headers=headers)
    many = await http.post("/change", content="&".join(["a=1"] * 3000), headers={**headers, **FORM})
    other = await http.post("/change", files={"field": b"x"}, headers=headers)
    bytes_ = await http.post("/change", content=b"field=%ff", headers={**headers, **FORM})
    assert [each.status_code for each in (long, many, other, bytes_)] == [413, 422, 422, 422]


async def test_operators_pages_are_for_operators(database: Database, app: FastAPI, http: httpx2.AsyncClient) -> None:
    await sign_in_by_link(database, http, "root")
    assert (await http.get("/operator")).json() == {"subject": "root"}
    async with browser(app) as other:
        await sign_in_by_link(database, other, "dev")
        assert (await other.get("/operator")).status_code == 403


async def test_sign_out_ends_the_sign_in_for_whoever_has_the_cookie(
    database: Database, app: FastAPI, http: httpx2.AsyncClient
) -> None:
    token = await sign_in_by_link(database, http)
    stolen = http.cookies["gitward"]
    assert (await http.post("/sign-out")).status_code == 403
    assert (await http.post("/sign-out", data={"csrf_token": token})).status_code == 200
    assert "gitward" not in http.cookies
    async with browser(app) as thief:
        thief.cookies["gitward"] = stolen
        assert (await thief.get("/")).status_code == 303


@pytest.mark.parametrize("cookie", ["", "x", "A" * 43, "A" * 60_000, '"; drop', "A" * 42 + "%00"])
async def test_cookies_that_nobody_made_are_no_sign_in(http: httpx2.AsyncClient, cookie: str) -> None:
    assert (await http.get("/", headers={"Cookie": f"gitward={cookie}; a=b"})).status_code == 303


async def test_behind_tls_the_cookie_is_bound_to_this_host(database: Database) -> None:
    public = "https://gitward.example"
    app = pages_of(SigningIn(database, hosts=Hosts(public)))
    async with browser(app, public) as client:
        answer = await client.post("/sign-in", data={"link": await link_of(database)})
        cookie = answer.headers["set-cookie"]
        name, _, attributes = cookie.partition("=")
        assert name == "__Host-gitward"
        assert {"HttpOnly", "Secure", "SameSite=lax", "Path=/", "Max-Age=43200"} <= set(attributes.split("; "))
        assert "Domain" not in attributes
        value = client.cookies["__Host-gitward"]
        assert (await client.get("/")).status_code == 200
        client.cookies.clear()
        assert (await client.get("/", headers={"Cookie": f"gitward={value}"})).status_code == 303
