"""A GitHub App in two clicks: from the operator's page over GitHub's to the key in the data folder."""

from __future__ import annotations

import json
import stat

from playwright.async_api import Page, expect

from gitward_standin.apps import App
from rig import Rig, rig

from .conftest import Opened, picture
from .github_pages import lead_to_standin
from .test_looks import violations


async def made_app(page: Page, service: Rig, *, organization: str = "") -> None:
    """Both clicks."""
    await lead_to_standin(page, service)
    await page.goto(f"{service.url}/operator")
    await page.get_by_role("link", name="GitHub App…").click()
    await expect(page.get_by_role("heading", name="GitHub App")).to_be_visible()
    await picture(page, "setup-app-before")
    assert not await violations(page)
    if organization:
        await page.get_by_label("Organization").fill(organization)
    await page.get_by_role("button", name="Make the App on GitHub").click()
    await page.get_by_role("button", name="Create GitHub App").click()
    await expect(page.get_by_role("heading", name="its key is kept")).to_be_visible()


async def test_two_clicks_lead_to_a_key_file_that_github_accepts(opened: Opened, service: Rig) -> None:
    page = await opened("/")
    await made_app(page, service, organization="acme")
    key = service.data / "github-app.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    about = json.loads(key.with_suffix(".json").read_text())
    app = service.github.site.apps.named(about["slug"])
    assert app is not None
    assert (app.id, app.owner.login) == (about["id"], "acme")
    await picture(page, "setup-app-made")
    await expect(page.locator("pre")).to_contain_text(f"GITHUB_APP_ID={app.id}")
    await expect(page.locator("pre")).to_contain_text(f"GITHUB_APP_PRIVATE_KEY_FILE={key}")
    install = page.get_by_role("link", name="Install it on GitHub")
    assert await install.get_attribute("href") == f"https://github.com/apps/{app.slug}/installations/new"
    pem = key.read_text()
    line = pem.splitlines()[1]
    for place in (service.log.read_text(), await page.content(), str(await service_database(service))):
        assert line not in place
    await a_restart_uses_it(service, app, str(key))


async def service_database(service: Rig) -> bytes:
    return b"".join(each.read_bytes() for each in service.data.glob("gitward.db*"))


async def a_restart_uses_it(service: Rig, app: App, key: str) -> None:
    """With the settings that the page names, a session works by the App's token."""
    service.github.install_app(app, "acme")
    await service.stop()
    before = dict(service.environment)
    del service.environment["GITHUB_TOKEN"]
    service.environment |= {"GITHUB_APP_ID": str(app.id), "GITHUB_APP_PRIVATE_KEY_FILE": key}
    try:
        await service.start()
        async with service.client() as client:
            _, run, _ = await client.run(await service.repository(), command="echo 1 > one")
        assert run["state"] == "succeeded", run
        assert service.github.site.apps.minted
    finally:
        await service.stop()
        service.environment.clear()
        service.environment.update(before)
        await service.start()


async def test_without_a_script_one_click_more_does_it(opened: Opened) -> None:
    async with rig(GITWARD_LOCAL_SUBJECT="alice") as other:
        page = await opened("/", java_script_enabled=False, server=other)
        await lead_to_standin(page, other)
        await page.goto(f"{other.url}/setup/app")
        await page.get_by_role("button", name="Make the App on GitHub").click()
        await page.get_by_role("button", name="Go on to").click()
        await page.get_by_role("button", name="Create GitHub App").click()
        await expect(page.get_by_role("heading", name="its key is kept")).to_be_visible()
        assert (other.data / "github-app.pem").exists()
