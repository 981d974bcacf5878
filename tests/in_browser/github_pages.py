"""GitHub's own pages, as the browser finds them: what it asks github.com for goes to the stand-in."""

from __future__ import annotations

from playwright.async_api import Page, Route

from rig import Rig

GITHUB = "https://github.com"


async def lead_to_standin(page: Page, service: Rig) -> None:
    """The page's policy still sees github.com."""

    async def fetch(route: Route) -> None:
        response = await route.fetch(url=service.github.url + route.request.url.removeprefix(GITHUB), max_redirects=0)
        await route.fulfill(response=response)

    await page.context.route(f"{GITHUB}/**", fetch)
