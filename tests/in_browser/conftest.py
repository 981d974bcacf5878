"""A real browser before a real service: Debian's Chromium, driven by Playwright. Pictures stay in `.screenshots`."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, FloatRect, Page, async_playwright, expect

from gitward.store.database import Database
from rig import Rig, rig

from .stage import Stage, fill

expect.set_options(timeout=30_000)
ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / ".screenshots"
TALLEST = 1600  # of a picture
OFFLINE = re.compile(r"htmx:sse:error|ERR_(CONNECTION|NETWORK|EMPTY|INCOMPLETE)|"
    r"Failed to load resource: the server responded with a "
                     r"status of (404|422|403)")  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them run on the loop that holds browser and stand-in."""
    for item in items:
        if "in_browser" in item.path.parts and inspect.iscoroutinefunction(getattr(item, "function", None)):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def service() -> AsyncIterator[Rig]:
    async with rig(GITWARD_LOCAL_SUBJECT="alice") as made:
        yield made


@contextlib.asynccontextmanager
async def without_worker() -> AsyncIterator[Rig]:
    """A service in which nothing changes but what the test itself writes."""
    async with rig(GITWARD_LOCAL_SUBJECT="alice") as made:
        await made.stop()
        await made.start("--no-worker")
        yield made


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    program = shutil.which("chromium")
    assert program, "Chromium is needed: scripts/setup chromium:chromium"
    async with async_playwright() as playwright:
        made = await playwright.chromium.launch(executable_path=program, args=["--disable-dev-shm-usage"])
        yield made
        await made.close()


async def sign_in_link(service: Rig, subject: str = "alice") -> str:
    """As the operator gets it on the machine."""
    process = await asyncio.create_subprocess_exec(
        str(ROOT / ".venv/bin/gitward"), "sign-in", "--subject", subject,
        env=service.environment, cwd=service.root, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    told, _ = await process.communicate()
    assert process.returncode == 0
    secret = told.decode().strip().partition("link=")[2]
    return f"{service.url}/sign-in?link={secret}"


Opened = Callable[..., Awaitable[Page]]


@pytest_asyncio.fixture(loop_scope="session")
async def opened(service: Rig, browser: Browser) -> AsyncIterator[Opened]:
    """Opens a page of somebody who is signed in. Errors of scripts, and what the policy of content refuses, fail."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and not OFFLINE.search(message.text):
            wrong.append(message.text)

    async def open_page(path: str = "/", *, subject: str = "alice", server: Rig = service, **options: Any) -> Page:
        options.setdefault("viewport", {"width": 1280, "height": 900})
        context = await browser.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(60_000)
        page = await context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        await page.goto(await sign_in_link(server, subject))
        await page.get_by_role("button", name="Sign in").click()
        await page.wait_for_url(f"{server.url}/")
        if path != "/":
            await page.goto(server.url + path)
        return page

    yield open_page
    for context in contexts:
        await context.close()
    assert not wrong


async def picture(page: Page, name: str, *, folder: Path = SCREENSHOTS, tallest: int = TALLEST) -> Path:
    """The whole page, to a height. What sticks to the window's end does not cover what is shown."""
    await page.evaluate("for (const each of document.querySelectorAll('.reply')) each.style.position = 'static'")
    folder.mkdir(parents=True, exist_ok=True)
    before = page.viewport_size
    assert before is not None
    height = min(await page.evaluate("document.documentElement.scrollHeight"), tallest)
    await page.set_viewport_size({"width": before["width"], "height": max(height, before["height"])})
    file = folder / f"{name}.png"
    clip: FloatRect = {"x": 0, "y": 0, "width": before["width"], "height": height}
    await page.screenshot(path=file, clip=clip, animations="disabled")
    await page.set_viewport_size(before)
    await page.evaluate("for (const each of document.querySelectorAll('.reply')) each.style.position = ''")
    return file


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stage(service: Rig) -> AsyncIterator[Stage]:
    """Of the module's own service, which others would find changed."""
    database = Database(f"sqlite:///{service.data / 'gitward.db'}")
    yield fill(database)
    await database.stop()
