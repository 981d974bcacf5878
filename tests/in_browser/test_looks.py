"""Every page, light and dark, wide and narrow: nothing sticks out, and assistive technology understands it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page

from rig import Rig

from .conftest import Opened, picture, without_worker
from .stage import Stage

AXE = Path(__file__).parent / "tools" / "axe.min.js"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service() -> AsyncIterator[Rig]:
    async with without_worker() as made:
        yield made


def pages(stage: Stage) -> dict[str, str]:
    return {
        "list": "/",
        "list-archive": "/?archived=true",
        "new": "/new?kind=prompt",
        "session-running": f"/s/{stage.running}",
        "session-failed": f"/s/{stage.failed}",
        "session-pull": f"/s/{stage.done}",
        "diff": f"/s/{stage.failed}/diff",
        "diff-file": f"/s/{stage.failed}/diff/1",
        "output": f"/s/{stage.failed}/runs/{stage.failed_run}/output",
        "operator": "/operator",
        "setup-app": "/setup/app",
        "schedules": "/schedules",
        "not-found": "/s/ses_nothing",
    }


LOOKS: dict[str, dict[str, Any]] = {
    "wide": {},
    "dark": {"color_scheme": "dark"},
    "narrow": {"viewport": {"width": 360, "height": 740}, "has_touch": True},
    "narrow-dark": {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"},
}


@pytest.mark.parametrize("look", LOOKS)
async def test_every_page_fits_and_can_be_used_by_everybody(
    service: Rig, opened: Opened, stage: Stage, look: str
) -> None:
    page = await opened("/", **LOOKS[look])
    wrong = {}
    for name, path in pages(stage).items():
        await page.goto(service.url + path)
        await open_all(page)
        await picture(page, f"{look}-{name}")
        if await page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wrong[name] = [await sticking_out(page)]
        wrong[name] = wrong.get(name, []) + await violations(page)
    assert not {name: found for name, found in wrong.items() if found}


async def open_all(page: Page) -> None:
    await page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")


async def sticking_out(page: Page) -> str:
    script = """[...document.querySelectorAll('main *, header *')]
      .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.scroll, pre, .output'))
      .slice(0, 4).map(e => e.outerHTML.slice(0, 160))"""
    return str(await page.evaluate(script))


async def violations(page: Page) -> list[str]:
    """What axe-core calls serious or worse."""
    await page.evaluate(AXE.read_text())  # by the debugger, to which the page's policy does not apply
    found = json.loads(await page.evaluate("axe.run().then(r => JSON.stringify(r.violations))"))
    return [
        f"{each['id']}: {[node['html'][:150] + ' ' + node['failureSummary'][:300] for node in each['nodes'][:3]]}"
        for each in found
        if each["impact"] in {"serious", "critical"}
    ]
