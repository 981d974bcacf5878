"""The documentation's site in a real browser: diagrams are drawn, search finds, and nothing comes from another host."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

ROOT = Path(__file__).parents[2]
PAGES = ("index", "architecture", "architecture/agents", "api", "settings", "security", "adr/index")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Its address."""
    folder = tmp_path_factory.mktemp("site")
    argv = (sys.executable, "-m", "docs.build_site", "--folder", str(folder / "made"))
    building = await asyncio.create_subprocess_exec(*argv, cwd=ROOT)
    assert await building.wait() == 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder / "made" / "html")))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    await asyncio.to_thread(server.shutdown)
    server.server_close()
    thread.join()


@pytest_asyncio.fixture(loop_scope="session")
async def reader(site: str, browser: Browser) -> AsyncIterator[Page]:
    """A page that fails the test when it asks another host for something, or when a script fails."""
    wrong: list[str] = []
    page = await browser.new_page()
    page.on(
        "request",
        lambda request: None if request.url.startswith((site, "data:", "blob:")) else wrong.append(request.url),
    )
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    yield page
    await page.close()
    assert wrong == []


@pytest.mark.parametrize("name", PAGES)
async def test_a_page_loads_nothing_from_elsewhere(site: str, reader: Page, name: str) -> None:
    await reader.goto(f"{site}/{name}.html", wait_until="networkidle")
    await expect(reader.locator("h1")).to_be_visible()
    await expect(reader.locator("pre.mermaid")).to_have_count(0)  # each is drawn


async def test_diagrams_are_drawn(site: str, reader: Page) -> None:
    await reader.goto(f"{site}/architecture.html")
    await expect(reader.locator("div.mermaid")).to_have_count(3)
    for diagram in await reader.locator("div.mermaid").all():
        box = await diagram.bounding_box()
        assert box is not None
        assert box["height"] > 100


async def test_the_search_finds_a_setting(site: str, reader: Page) -> None:
    await reader.goto(f"{site}/index.html")
    await reader.keyboard.press("/")
    await reader.keyboard.type("GITWARD_RESERVE_MB")
    await expect(reader.get_by_role("link", name="Settings").first).to_be_visible()
