"""A terminal signs in at a real issuer in a browser on the same machine: the answer comes to a port on loopback."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import jwt
import pytest
import pytest_asyncio

from gitward.cli.client.browser_login import Loopback, sign_in
from gitward.cli.client.errors import ClientError
from real_issuer import RealIssuer, consent, real_issuer

LOOPBACK = "http://127.0.0.1/callback"  # of whatever port (RFC 8252, section 7.3)


@pytest_asyncio.fixture
async def issuer(tmp_path: Path) -> AsyncIterator[RealIssuer]:
    told = {"client_id": "gitward", "client_secret": None, "redirect_uri": LOOPBACK}
    client = {"application_type": "native", "grant_types": ["authorization_code"]}
    async with real_issuer(
        tmp_path, **told, post_logout_redirect_uri="https://gitward.example/y", client=client
    ) as made:
        yield made


class Terminal:
    """One that waits for the browser."""

    def __init__(self, issuer: str, *, seconds: float = 60.0) -> None:
        self._shown: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.task = asyncio.create_task(
            asyncio.to_thread(sign_in, issuer, client_id="gitward", show=self._shown.put, seconds=seconds)
        )

    async def address(self) -> str:
        return await asyncio.to_thread(self._shown.get, timeout=60)


async def browse(address: str) -> httpx2.Response:
    """What a person does at the issuer, and the browser's way back."""
    async with httpx2.AsyncClient(trust_env=False) as at:
        back = parse_qs(urlsplit(address).query)["redirect_uri"][0]
        return await at.get(await consent(at, address, "alice", back))


async def test_the_jwt_is_for_the_service_and_the_port_is_closed_after_it(issuer: RealIssuer) -> None:
    terminal = Terminal(issuer.url)
    address = await terminal.address()
    asked = parse_qs(urlsplit(address).query)
    assert asked["code_challenge_method"] == ["S256"]
    back = urlsplit(asked["redirect_uri"][0])
    assert (back.hostname, back.path) == ("127.0.0.1", "/callback")
    answer = await browse(address)
    assert (answer.status_code, answer.text) == (200, "Signed in. You can close this page.")
    claims = jwt.decode(await terminal.task, options={"verify_signature": False})
    assert (claims["iss"], claims["sub"], claims["aud"]) == (issuer.url, "alice", "gitward")
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", back.port)


async def test_an_answer_with_another_state_is_not_taken(issuer: RealIssuer) -> None:
    """As a page of the same browser may send it; the person's own answer still counts."""
    terminal = Terminal(issuer.url)
    address = await terminal.address()
    back = parse_qs(urlsplit(address).query)["redirect_uri"][0]
    async with httpx2.AsyncClient(trust_env=False) as page:
        assert (await page.get(f"{back}?code=theirs&state=theirs")).status_code == 400
        assert (await page.get(f"{back}?code=theirs")).status_code == 400
        assert (await page.get(back.replace("/callback", "/favicon.ico"))).status_code == 404
    assert not terminal.task.done()
    assert (await browse(address)).status_code == 200
    assert await terminal.task


async def test_a_refusal_in_the_browser_is_told(issuer: RealIssuer) -> None:
    terminal = Terminal(issuer.url)
    asked = parse_qs(urlsplit(await terminal.address()).query)
    back = f"{asked['redirect_uri'][0]}?error=access_denied&state={asked['state'][0]}"
    async with httpx2.AsyncClient(trust_env=False) as page:
        assert "Not signed in" in (await page.get(back)).text
    with pytest.raises(ClientError, match="was refused in the browser"):
        await terminal.task


async def test_an_answer_of_another_issuer_is_not_taken(issuer: RealIssuer) -> None:
    terminal = Terminal(issuer.url)
    asked = parse_qs(urlsplit(await terminal.address()).query)
    back = f"{asked['redirect_uri'][0]}?code=x&iss=https://evil.example&state={asked['state'][0]}"
    async with httpx2.AsyncClient(trust_env=False) as page:
        await page.get(back)
    with pytest.raises(ClientError, match="is not from"):
        await terminal.task


async def test_a_code_that_the_issuer_never_gave_is_refused_by_it(issuer: RealIssuer) -> None:
    terminal = Terminal(issuer.url)
    asked = parse_qs(urlsplit(await terminal.address()).query)
    async with httpx2.AsyncClient(trust_env=False) as page:
        await page.get(f"{asked['redirect_uri'][0]}?code=made-up&state={asked['state'][0]}")
    with pytest.raises(ClientError, match="ended the sign-in"):
        await terminal.task


@pytest.mark.parametrize("nonce", ["theirs", "fremd-\u00e4", "\ud800", None, 7])
async def test_a_token_that_answers_another_question_is_not_taken(nonce: object) -> None:
    """Its nonce is not ours: somebody else's sign-in was put into ours."""
    url = "https://id.example"
    asked: queue.SimpleQueue[str] = queue.SimpleQueue()

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("openid-configuration"):
            pages = {f"{name}_endpoint": f"{url}/{name}" for name in ("authorization", "token")}
            return httpx2.Response(200, json={"issuer": url, **pages})
        claims = {"aud": "gitward", "sub": "mallory", "nonce": nonce}
        return httpx2.Response(200, json={"id_token": jwt.encode(claims, "k" * 32, "HS256")})

    def agree(address: str) -> None:
        told = parse_qs(urlsplit(address).query)
        asked.put(told["nonce"][0])
        httpx2.get(f"{told['redirect_uri'][0]}?code=x&state={told['state'][0]}", trust_env=False)

    with pytest.raises(ClientError, match="answered another question"):
        await asyncio.to_thread(sign_in, url, client_id="gitward", show=agree, transport=httpx2.MockTransport(answer))
    assert len(asked.get_nowait()) > 20


async def test_addresses_are_used_as_the_issuer_writes_them() -> None:
    """Authentik's end with a slash, without which it does not know them; others have a query."""
    url, posted = "https://id.example/o/gitward", []

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("openid-configuration"):
            pages = {"authorization_endpoint": f"{url}/authorize/?tenant=a", "token_endpoint": f"{url}/token/?p=b"}
            return httpx2.Response(200, json={"issuer": f"{url}/", **pages})
        posted.append(request.url.raw_path)
        return httpx2.Response(400, json={"error": "invalid_grant"})

    def agree(address: str) -> None:
        assert address.startswith(f"{url}/authorize/?tenant=a&response_type=code")
        told = parse_qs(urlsplit(address).query)
        httpx2.get(f"{told['redirect_uri'][0]}?code=x&state={told['state'][0]}", trust_env=False)

    with pytest.raises(ClientError, match="ended the sign-in: invalid_grant"):
        await asyncio.to_thread(sign_in, url, client_id="gitward", show=agree, transport=httpx2.MockTransport(answer))
    assert posted == [b"/o/gitward/token/?p=b"]


async def test_the_wait_ends_and_says_what_else_there_is(issuer: RealIssuer) -> None:
    with pytest.raises(ClientError, match="without --browser"):
        await Terminal(issuer.url, seconds=0.05).task


async def test_a_connection_that_says_nothing_holds_nobody() -> None:
    """Browsers open some in advance."""
    with Loopback() as loopback:
        port = urlsplit(loopback.address).port
        _, silent = await asyncio.open_connection("127.0.0.1", port)
        async with httpx2.AsyncClient(trust_env=False) as page:
            await page.get(f"{loopback.address}?code=x&state={loopback.state}")
        assert loopback.wait(10)["code"] == "x"
        silent.close()
        await silent.wait_closed()
