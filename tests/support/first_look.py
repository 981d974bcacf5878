"""A person's first look: opens the demo's link, presses the button, and reads the session's page."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import httpx2

LINK = re.compile(r"^Its page \(the link works once\): (\S+)$", re.MULTILINE)


async def first_look(printed: str) -> str:
    """The page to which the link leads that the demo printed."""
    link = LINK.search(printed)
    assert link is not None, printed
    parts = urlsplit(link[1])
    origin = f"{parts.scheme}://{parts.netloc}"
    async with httpx2.AsyncClient(
        base_url=origin, headers={"Origin": origin, "Accept": "text/html"}, trust_env=False, timeout=60
    ) as browser:
        form = await browser.get(link[1])
        assert form.status_code == 200, form.text
        fields = dict(re.findall(r'name="(link|next)" value="([^"]*)"', form.text))
        answer = await browser.post("/sign-in", data=fields)
        assert answer.status_code == 303, answer.text
        page = await browser.get(answer.headers["location"])
        assert page.status_code == 200, page.text
        return page.text
