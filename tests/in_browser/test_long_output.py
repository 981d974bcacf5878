"""A session with 8 MiB of output: how long it takes in a real browser until a person can read it."""

from __future__ import annotations

import asyncio

from playwright.async_api import expect

import machine
from gitward.sessions.model import Owner
from gitward.store.database import Database
from page_stage import DIFF, add_session, output
from rig import Rig

from .conftest import Opened

ALICE = Owner(issuer="gitward", subject="alice")
BYTES = 8 * 1024 * 1024
LINE = "a line of a log as a build writes it, with some words in it and a number: {}\n"
READABLE = """() => {
  const [page] = performance.getEntriesByType("navigation");
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  return Math.max(page.domContentLoadedEventEnd, paint ? paint.startTime : performance.now()) / 1000;
}"""


def add_long_session(database: Database) -> str:
    text = "".join(LINE.format(number) for number in range(220))
    pieces = [output(text) for _ in range(BYTES // len(text))]
    pieces.append(output("the very last line\n"))
    return add_session(database, ALICE, title="A long build", entries=pieces, diff=DIFF)[0]


async def test_eight_mebibytes_of_output_are_readable_within_a_second(service: Rig, opened: Opened) -> None:
    """The best of five: what else the machine does is not what is measured."""
    database = Database(f"sqlite:///{service.data / 'gitward.db'}")
    session_id = await asyncio.to_thread(add_long_session, database)
    await database.stop()
    page = await opened("/")
    took = []
    for _ in range(5):
        await page.goto(f"{service.url}/s/{session_id}")
        await expect(page.locator("#output > div").last).to_have_text("the very last line")
        await expect(page.locator("#output > div").last).to_be_in_viewport()
        took.append(await page.evaluate(READABLE))
    print(f"8 MiB of output readable: {min(took):.2f} s, {max(took):.2f} s at most")
    assert min(took) <= 1.0 * machine.slowness()
