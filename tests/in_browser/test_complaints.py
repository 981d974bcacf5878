"""What people complain about on other pages of this kind, tried on ours."""

from __future__ import annotations

import asyncio
import json

import pytest
from playwright.async_api import expect

from gitward.web.content.terminal import Terminal
from rig import Rig

from .conftest import Opened
from .test_live import WAITS, go, start


async def test_who_reads_is_not_taken_to_the_end(service: Rig, opened: Opened) -> None:
    """The page scrolls down while one reads."""
    session = await start(service, f"seq 1 400; {WAITS}; seq 401 800")
    page = await opened(f"/s/{session['id']}")
    await expect(page.locator("#output > div").last).to_have_text("400")
    await page.locator("#output").evaluate("box => { box.scrollTop = 100; }")
    await expect(page.locator("#follow")).not_to_be_checked()
    await go(service, session)
    await expect(page.locator("#output > div").last).to_have_text("800")
    assert await page.locator("#output").evaluate("box => box.scrollTop") == 100
    await page.locator("#follow").check()
    assert await page.locator("#output").evaluate("box => box.scrollHeight - box.scrollTop - box.clientHeight") < 24


async def test_a_draft_outlives_a_reload_and_goes_when_it_is_sent(service: Rig, opened: Opened) -> None:
    session = await start(service, WAITS)
    other = await start(service, "true")
    page = await opened(f"/s/{session['id']}")
    await page.locator("textarea").fill("echo a long thought")
    await page.reload()
    assert await page.locator("textarea").input_value() == "echo a long thought"
    await page.goto(f"{service.url}/s/{other['id']}")
    assert await page.locator("textarea").input_value() == ""
    await page.goto(f"{service.url}/s/{session['id']}")
    await page.get_by_role("button", name="Queue").click()
    await expect(page.locator("#head")).to_contain_text("run 2 of 2")
    await page.reload()
    assert await page.locator("textarea").input_value() == ""
    await go(service, session)


async def test_the_eighth_tab_still_opens(service: Rig, opened: Opened) -> None:
    """A browser keeps six connections to one server: tabs that nobody sees give theirs back."""
    session = await start(service, f"echo begun; {WAITS}")
    first = await opened(f"/s/{session['id']}")
    tabs = [first]
    for _ in range(8):
        await expect(tabs[-1].locator("#output")).to_contain_text("begun")
        await tabs[-1].evaluate(
            "Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )
        tabs.append(await first.context.new_page())
        await tabs[-1].goto(f"{service.url}/s/{session['id']}", timeout=20_000)
    await go(service, session)
    await expect(tabs[-1].locator("#head .state")).to_have_text("succeeded")
    await first.evaluate(
        "Object.defineProperty(document, 'hidden', {value: false, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    await expect(first.locator("#head .state")).to_have_text("succeeded")


async def test_a_button_pressed_twice_makes_one_run(service: Rig, opened: Opened) -> None:
    session = await start(service, "true")
    page = await opened(f"/s/{session['id']}")
    await expect(page.locator("#head .state")).to_have_text("succeeded")
    await page.get_by_role("button", name="Retry").dblclick()
    await expect(page.locator("#head")).to_contain_text("run 2 of 2")
    await expect(page.locator("#head .state")).to_have_text("succeeded")
    await page.reload()
    await expect(page.locator("#head")).to_contain_text("run 2 of 2")


TEXTS = (
    "\x1b[1;31mred\x1b[0m plain", "\x1b[38;5;196mx\x1b[48;2;0;200;0my\x1b[7mz\x1b[27m\x1b[22m", "10%\r50%\r100%\r",
    "\x1b]8;;https://evil\x07link\x1b]8;;\x07\x1b[2J\x08ok\x1b[", "a\u202eb\u200bc" + "\u0301" * 9, "x" * 5000,
    "\x1b[31mone\ntwo\x1b[39m three\n\x1b[90;102mfour", "\x1b[38;5;240mg\x1b[38mh\x1b[999999999999mi",
    "é😀\x9b31m\x85\u2028",
)  # fmt: skip


@pytest.mark.parametrize("number", range(len(TEXTS)))
async def test_both_makers_of_colours_agree(opened: Opened, number: int) -> None:
    """The page's own and the server's: a reload must not change what one sees."""
    text = TEXTS[number]
    page = await opened("/")
    await page.add_script_tag(url="/assets/output.js")
    made = await page.evaluate(
        "text => { const made = new gitwardOutput.Terminal(); return text.split('\\n').map(l => made.line(l)); }",
        text,
    )
    wanted = [[[each.classes, each.text] for each in line] for line in Terminal().lines(text)]
    assert json.loads(json.dumps(made)) == wanted
    await asyncio.sleep(0)
