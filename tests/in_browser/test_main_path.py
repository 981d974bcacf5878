"""From sign-in to the pull request, in a real browser."""

from __future__ import annotations

from playwright.async_api import expect

from rig import Rig

from .conftest import Opened, picture


async def test_a_command_leads_from_sign_in_to_its_pull_request(service: Rig, opened: Opened) -> None:
    repository = await service.repository()
    page = await opened("/", subject="maria")
    await expect(page.get_by_text("There are no sessions yet.")).to_be_visible()
    await picture(page, "list-empty")

    await page.get_by_role("link", name="New session").click()
    await page.get_by_label("Repository").fill(repository.full_name)
    await page.get_by_label("Command or prompt").fill("printf 'a\\033[32mgreen\\033[0m\\n'; echo line >> README.md")
    await expect(page.get_by_text("The server would take this.")).to_be_visible()
    await picture(page, "new")
    await page.get_by_role("button", name="Start").click()

    await expect(page.locator("#head .state")).to_have_text("succeeded")
    await expect(page.locator("#outcome")).to_contain_text("Done")
    await expect(page.locator("#side")).to_contain_text("Pull request")
    await expect(page.locator("#output .c-green")).to_have_text("green")
    await picture(page, "session-done")

    await page.locator("#head").get_by_role("link", name="Diff").click()
    await expect(page.locator("tr.add")).to_contain_text("line")
    await picture(page, "diff")
    await page.goto(service.url)
    await expect(page.locator(".row").first).to_contain_text("#1 draft")
    await picture(page, "list-one")
