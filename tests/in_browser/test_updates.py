"""An agent's page while it works, a page that missed something, and a diff that is too long to be shown at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from playwright.async_api import expect

import machine
from gitward.agents.events import Events
from gitward.agents.updates import Said, ToolCall
from gitward.sessions.model import EventType, Owner, RunState
from gitward.store.database import Database
from gitward.telemetry.redaction import Redactor
from page_stage import AGENT, DIFF, Entry, add_session, output, said, tell
from rig import Rig

from .conftest import Opened, without_worker
from .test_live import metric, watch_lines

ALICE = Owner(issuer="gitward", subject="alice")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service() -> AsyncIterator[Rig]:
    async with without_worker() as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database(service: Rig) -> AsyncIterator[Database]:
    made = Database(f"sqlite:///{service.data / 'gitward.db'}")
    yield made
    await made.stop()


def running(database: Database) -> tuple[str, str]:
    return add_session(
        database, ALICE, title="An agent", state=RunState.RUNNING, running="execute", instruction=AGENT,
        entries=[(EventType.AGENT_STARTED, {"agent": "codex", "model": None}), output("begun\n")],
    )  # fmt: skip


def gathered(updates: int) -> list[Entry]:
    """So many updates of an agent, as the worker makes events of them."""
    seconds = 0.0
    events = Events(Redactor(), clock=lambda: seconds)
    told = []
    for number in range(updates):
        if number % 4:
            events.take(Said(thought=False, message=f"m{number // 400}", text=f"word {number} "))
        else:
            events.take(ToolCall(id=f"c{number // 40}", kind="read", title=f"Read {number}", status="completed"))
        if number % 50 == 49:
            seconds += 0.05
            told += events.entries()
    events.take(Said(thought=False, message="last", text="The very last word. "))
    told += events.entries(final=True)
    return [(EventType(kind), data) for kind, data in told]


async def test_a_hundred_thousand_updates_appear_at_once(opened: Opened, database: Database) -> None:
    ids = running(database)
    page = await opened(f"/s/{ids[0]}")
    await watch_lines(page)
    await page.evaluate("""() => {
      document.addEventListener("items", () => { window.firstLine ??= performance.now(); });
      new MutationObserver(() => { window.lastLine = performance.now(); }).observe(
        document.getElementById("talk"), {childList: true});
    }""")
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Performance.enable")
    before = await metric(devtools, "LayoutCount")
    tell(database, *ids, gathered(100_000))
    await expect(page.locator("#talk")).to_contain_text("The very last word.")
    layouts = await metric(devtools, "LayoutCount") - before
    seconds = await page.evaluate("(window.lastLine - window.firstLine) / 1000")
    print(f"100,000 updates: {seconds:.2f} s, {layouts:.0f} layouts")
    slowness = machine.slowness()
    assert layouts <= 50 * slowness  # one or two for each of the frames, which are told ten times a second
    assert seconds <= 1.0 * slowness
    assert await page.locator("#talk > *").count() <= 400


async def test_a_page_that_missed_something_shows_all_and_goes_on(opened: Opened, database: Database) -> None:
    ids = running(database)
    page = await opened(f"/s/{ids[0]}")
    await page.locator("textarea").fill("a draft")
    await page.evaluate("document.getElementById('live').dispatchEvent(new CustomEvent('stale', {bubbles: true}))")
    await page.wait_for_function("document.querySelectorAll('#live').length === 1")
    tell(database, *ids, [output("after\n"), said("m", "Still **here**.")])
    await expect(page.locator("#output > div", has_text="after")).to_have_count(1)
    await expect(page.locator("#talk strong")).to_have_text("here")
    assert await page.locator("textarea").input_value() == "a draft"


async def test_an_open_tool_call_stays_open_when_it_grows(opened: Opened, database: Database) -> None:
    ids = running(database)
    plain: dict[str, Any] = {"kind": "execute", "paths": [], "input": None, "diff": []}
    tell(database, *ids, [(EventType.AGENT_TOOL, {**plain, "id": "c", "title": "make", "status": "in_progress",
                                                  "output": None})])  # fmt: skip
    page = await opened(f"/s/{ids[0]}")
    await page.locator("details.tool summary").click()
    tell(database, *ids, [(EventType.AGENT_TOOL, {**plain, "id": "c", "title": "make", "status": "completed",
                                                  "output": "built"})])  # fmt: skip
    await expect(page.locator("details.tool pre")).to_have_text("built")
    await expect(page.locator("details.tool pre")).to_be_visible()
    await expect(page.locator("details.tool")).to_have_count(1)


async def test_a_long_file_of_a_diff_is_loaded_on_demand(opened: Opened, database: Database) -> None:
    lines = b"".join(b"+line %d\n" % number for number in range(2000))
    long = (
        b"diff --git a/long.py b/long.py\nnew file mode 100644\n--- /dev/null\n+++ b/long.py\n@@ -0,0 +1,2000 @@\n"
        + lines
    )
    session_id, _ = add_session(database, ALICE, title="Long", diff=DIFF + long)
    page = await opened(f"/s/{session_id}/diff")
    await expect(page.locator("tr.add", has_text="line 1999")).to_have_count(0)
    await page.get_by_role("link", name="Show 2,000 changed lines").click()
    await expect(page.locator("tr.add", has_text="line 1999")).to_have_count(1)
    assert page.url.endswith("/diff")
