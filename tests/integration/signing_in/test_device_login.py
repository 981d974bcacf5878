"""A terminal signs in at a real issuer: the person agrees in a browser, the terminal gets a JWT."""

from __future__ import annotations

import asyncio
import html
import queue
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urljoin

import httpx2
import jwt
import pytest
import pytest_asyncio

from gitward.cli.client.device_login import sign_in
from gitward.cli.client.errors import ClientError
from real_issuer import RealIssuer, real_issuer

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
BASE = "https://gitward.example"


@pytest_asyncio.fixture
async def issuer(tmp_path: Path) -> AsyncIterator[RealIssuer]:
    told = {"client_id": "gitward", "client_secret": None, "redirect_uri": f"{BASE}/x", "devices": True}
    client = {"grant_types": [DEVICE], "redirect_uris": [], "response_types": []}
    async with real_issuer(tmp_path, **told, post_logout_redirect_uri=f"{BASE}/y", client=client) as made:
        yield made


async def agree(address: str, name: str, *, abort: bool = False) -> None:
    """What a person does in the browser: confirms the code, signs in, allows it."""
    async with httpx2.AsyncClient(trust_env=False, follow_redirects=True) as at:
        answer = await at.get(address)
        for _ in range(20):
            page = answer.text
            if "Sign-in Success" in page or "interrupted" in page:
                return
            action = re.search(r'action="([^"]+)"', page)
            assert action, page[:1000]
            fields = dict(re.findall(r'<input[^>]*type="hidden"[^>]*name="([^"]+)"[^>]*value="([^"]*)"', page))
            if 'name="login"' in page:
                fields |= {"login": name, "password": "any"}
            if abort and 'name="abort"' in page:
                fields |= {"abort": "yes"}
            answer = await at.post(urljoin(str(answer.url), html.unescape(action[1])), data=fields)
        raise AssertionError(answer.text[:1000])


async def signed_in(issuer: RealIssuer, *, abort: bool = False) -> str:
    shown: queue.SimpleQueue[str] = queue.SimpleQueue()
    agreed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait(_seconds: float) -> None:
        """The first poll comes when the person has agreed: no test waits for a clock."""
        asyncio.run_coroutine_threadsafe(agreed.wait(), loop).result(60)

    terminal = asyncio.create_task(
        asyncio.to_thread(
            sign_in, issuer.url, client_id="gitward", show=lambda address, _code: shown.put(address), sleep=wait
        )
    )
    address = await asyncio.to_thread(shown.get, timeout=60)
    try:
        await agree(address, "alice", abort=abort)
    finally:
        agreed.set()
        ended = await asyncio.gather(terminal, return_exceptions=True)
    if isinstance(ended[0], BaseException):
        raise ended[0]
    return ended[0]


async def test_the_jwt_is_for_the_service(issuer: RealIssuer) -> None:
    claims = jwt.decode(await signed_in(issuer), options={"verify_signature": False})
    assert (claims["iss"], claims["sub"], claims["aud"]) == (issuer.url, "alice", "gitward")


async def test_a_refusal_in_the_browser_is_told(issuer: RealIssuer) -> None:
    with pytest.raises(ClientError, match="was refused in the browser"):
        await signed_in(issuer, abort=True)


async def test_an_issuer_of_another_name_is_told(issuer: RealIssuer) -> None:
    with pytest.raises(ClientError, match="says that it is"):
        await asyncio.to_thread(
            sign_in, issuer.url.replace("127.0.0.1", "localhost"), client_id="gitward", show=lambda *_: None
        )


async def test_addresses_are_used_as_the_issuer_writes_them() -> None:
    """With a slash at the end, and with a query."""
    url, shown = "https://id.example/o/gitward", []

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("openid-configuration"):
            pages = {"device_authorization_endpoint": f"{url}/device/?p=a", "token_endpoint": f"{url}/token/?p=a"}
            return httpx2.Response(200, json={"issuer": f"{url}/", **pages})
        if request.url.raw_path == b"/o/gitward/device/?p=a":
            told = {"verification_uri": "https://id.example/enter/", "user_code": "AB-CD", "device_code": "x"}
            return httpx2.Response(200, json={**told, "expires_in": 600})
        assert request.url.raw_path == b"/o/gitward/token/?p=a"
        return httpx2.Response(400, json={"error": "access_denied"})

    with pytest.raises(ClientError, match="was refused in the browser"):
        await asyncio.to_thread(
            sign_in,
            f"{url}/",
            client_id="gitward",
            show=lambda address, code: shown.append((address, code)),
            sleep=lambda _seconds: None,
            transport=httpx2.MockTransport(answer),
        )
    assert shown == [("https://id.example/enter/", "AB-CD")]


async def test_an_issuer_that_is_away_is_told() -> None:
    with pytest.raises(ClientError, match="does not answer"):
        await asyncio.to_thread(sign_in, "http://127.0.0.1:9", client_id="gitward", show=lambda *_: None)


async def test_an_issuer_without_the_flow_is_told(tmp_path: Path) -> None:
    told = {"client_id": "gitward", "client_secret": None, "redirect_uri": f"{BASE}/x"}
    async with real_issuer(tmp_path, **told, post_logout_redirect_uri=f"{BASE}/y") as plain:
        with pytest.raises(ClientError, match="has no device_authorization_endpoint"):
            await asyncio.to_thread(sign_in, plain.url, client_id="gitward", show=lambda *_: None)
