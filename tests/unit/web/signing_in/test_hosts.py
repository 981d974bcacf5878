"""Pages are served under our own names only, and what leads back after a sign-in stays ours."""

from __future__ import annotations

import pytest

from browser import browser, link_of, pages_of, sign_in_by_link
from gitward.store.database import Database
from gitward.web.signing_in import SigningIn, paths
from gitward.web.signing_in.hosts import Hosts


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200), ("localhost", 200), ("127.0.0.1:8000", 200), ("[::1]:8000", 200), ("10.0.0.5", 200),
        ("box", 200), ("gitward.example", 200), ("GITWARD.example:443", 200), ("localhost.", 200),
        ("evil.example", 421), ("localhost.evil.example", 421), ("127.0.0.1.evil.example", 421), ("", 421),
        ("gitward.example.evil", 421), ("localhost@evil.example", 421), ("evil.example:8000", 421), ("[::1", 421),
        ("0x7f000001", 421), ("localhost:x", 421),
    ],
)  # fmt: skip
async def test_unknown_names_are_refused(database: Database, host: str, status: int) -> None:
    """A page of a stranger whose name was made to point here (DNS rebinding) still sends that name."""
    app = pages_of(SigningIn(database, hosts=Hosts("https://gitward.example", "box")))
    async with browser(app) as client:
        answer = await client.get("/sign-in", headers={"Host": host})
        assert answer.status_code == status
        assert status == 200 or "GITWARD_PUBLIC_URL" in answer.text


async def test_a_proxy_that_sends_its_own_name_for_ours_is_followed(database: Database) -> None:
    """nginx sets Host to the address that it connects to, unless it is told otherwise."""
    app = pages_of(SigningIn(database, hosts=Hosts("https://gitward.example")))
    async with browser(app, "http://127.0.0.1:8000", origin="https://gitward.example") as client:
        client.headers["Cookie"] = ""
        answer = await client.post("/sign-in", data={"link": await link_of(database)})
        assert answer.status_code == 303
        assert answer.headers["set-cookie"].startswith("__Host-gitward=")


async def test_an_unlisted_port_of_the_public_name_is_another_origin(database: Database) -> None:
    app = pages_of(SigningIn(database, hosts=Hosts("http://localhost:8000")))
    async with browser(app) as client:
        token = await sign_in_by_link(database, client)
        form = {"csrf_token": token}
        assert (await client.post("/change", data=form, headers={"Origin": "http://localhost:9000"})).status_code == 403


@pytest.mark.parametrize(
    ("wanted", "led_to"),
    [
        ("/new?repo=a&b=%20c#x", "/new?repo=a&b=%20c#x"), ("/", "/"), ("", "/"), (None, "/"),
        ("//evil.example", "/"), ("/\\evil.example", "/"), ("https://evil.example", "/"), ("javascript:alert(1)", "/"),
        ("/\t/evil.example", "/"), ("/\n//evil", "/"), ("\\\\evil", "/"), ("/a\\b", "/"), (" /a", "/"), ("/é", "/"),
        ("/" + "a" * 600, "/"), ("/sign-out", "/"), ("/sign-in?next=/sign-in", "/"), ("/\r\nSet-Cookie: a=b", "/"),
        ("///evil.example", "/"), ("/%09/evil.example", "/%09/evil.example"), ("@evil.example", "/"),
    ],
)  # fmt: skip
def test_a_sign_in_leads_back_to_paths_of_ours_only(wanted: str | None, led_to: str) -> None:
    assert paths.safe(wanted) == led_to
