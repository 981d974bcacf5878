"""The pictures of the documentation. `GITWARD_SCREENSHOTS=docs/images scripts/test browser` renews them."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from rig import Rig, rig

from .conftest import ROOT, SCREENSHOTS, Opened, picture
from .github_pages import lead_to_standin
from .stage import Stage

FOLDER = ROOT / os.environ.get("GITWARD_SCREENSHOTS", str(SCREENSHOTS / "documentation"))
MOST_BYTES = 150_000
WIDE = {"width": 1000, "height": 700}
PHONE = {"width": 360, "height": 720}


@dataclass(frozen=True, kw_only=True)
class Shot:
    path: str
    options: dict[str, Any]
    tallest: int = 700


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service() -> AsyncIterator[Rig]:
    async with rig(GITWARD_LOCAL_SUBJECT="alice") as made:
        async with made.client("bob") as client:  # so that GitHub has told of the token
            await client.run(await made.repository(), command="true")
        yield made


def shots(stage: Stage) -> dict[str, Shot]:
    return {
        "session-list": Shot(path="/", options={"viewport": WIDE}),
        "session-with-agent": Shot(path=f"/s/{stage.running}", options={"viewport": WIDE}, tallest=960),
        "failed-session": Shot(path=f"/s/{stage.failed}", options={"viewport": WIDE}, tallest=870),
        "diff": Shot(path=f"/s/{stage.failed}/diff", options={"viewport": WIDE}),
        "operator": Shot(path="/operator", options={"viewport": WIDE}, tallest=840),
        "schedules": Shot(path="/schedules", options={"viewport": WIDE}),
        "session-list-dark": Shot(path="/", options={"viewport": WIDE, "color_scheme": "dark"}),
        "session-on-a-phone": Shot(path=f"/s/{stage.failed}", options={"viewport": PHONE}, tallest=960),
    }


async def test_the_pictures_of_the_documentation_can_be_taken(service: Rig, opened: Opened, stage: Stage) -> None:
    for name, shot in shots(stage).items():
        page = await opened(shot.path, **shot.options)
        await take(page, service, stage, name, tallest=shot.tallest)
        await page.context.close()


async def test_the_pictures_of_a_github_app_can_be_taken(service: Rig, opened: Opened, stage: Stage) -> None:
    page = await opened("/setup/app", viewport=WIDE)
    await take(page, service, stage, "github-app")
    await lead_to_standin(page, service)
    await page.get_by_role("button", name="Make the App on GitHub").click()
    await page.get_by_role("button", name="Create GitHub App").click()
    await expect(page.get_by_role("heading", name="its key is kept")).to_be_visible()
    await take(page, service, stage, "github-app-made")


async def take(page: Page, service: Rig, stage: Stage, name: str, *, tallest: int = 700) -> None:
    await page.evaluate(
        STEADY,
        {
            str(service.data): "/var/lib/gitward",
            stage.failed: "ses_k3x9w2aa5mq0e7dt",
            socket.gethostname(): "build-1",
        },
    )
    file = await picture(page, name, folder=FOLDER, tallest=tallest)
    assert file.stat().st_size <= MOST_BYTES, name


# What differs from one time to the next is written as it always was.
STEADY = r"""names => {
  const patterns = [
    [/gitward-[a-z0-9-]+-[0-9a-f]{4}\b/g, "gitward-acme-1f2e"], [/gitward\/[0-9a-z]{8}\b/g, "gitward/k3x9w2aa"],
    [/worker-[0-9a-f]{16}/g, "worker-69d23c00636246ac"], [/\/sys\/fs\/cgroup\S*/g, "/sys/fs/cgroup/gitward"],
    [/\w{3} \d\d \w{3}, (\d\d:\d\d UTC)/g, "Mon 30 Nov, $1"], [/\bin \d+ (h|d)\b/g, "in 13 h"],
    [/\b5 min 3\d s|5 min 4\d s/g, "5 min 39 s"],
  ];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    let text = walker.currentNode.data;
    for (const [from, to] of Object.entries(names)) text = text.replaceAll(from, to);
    for (const [from, to] of patterns) text = text.replace(from, to);
    if (text !== walker.currentNode.data) walker.currentNode.data = text;
  }
  for (const [at, day] of document.querySelectorAll(".days text").entries()) day.textContent = at + 1;
}"""


@pytest.mark.parametrize("file", sorted((ROOT / "docs" / "images").glob("*.png")), ids=lambda file: file.stem)
def test_a_picture_in_the_documentation_is_small(file: Path) -> None:
    assert file.stat().st_size <= MOST_BYTES
