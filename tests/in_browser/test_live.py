"""What happens while a page is open: output, cancel, follow-ups, a server that goes away, and very much output."""

from __future__ import annotations

import asyncio

from playwright.async_api import Page, Route, expect

import machine
from gitward.runs.storage.workspace_names import workspace_of
from rig import Rig

from .conftest import Opened, picture

WAITS = "until [ -e /workspace/go ]; do sleep 0.05; done"


async def start(service: Rig, command: str, **body: object) -> dict[str, str]:
    """A session of alice's; its id, its run, its repository."""
    repository = await service.repository()
    async with service.client() as client:
        made = await client.session(repository, command=command, **body)
    return {"id": made["id"], "run": made["runs"][0]["id"], "repo": repository.full_name}


async def go(service: Rig, session: dict[str, str]) -> None:
    """Lets the command go on."""
    work = workspace_of(service.data / "workspaces", session["id"]) / "work"
    async with asyncio.timeout(60):
        while not work.is_dir():
            await asyncio.sleep(0.05)
    (work / "go").touch()


async def keep_going(service: Rig, session: dict[str, str]) -> None:
    while True:
        await go(service, session)
        await asyncio.sleep(0.2)


async def test_a_running_page_shows_output_and_steps_as_they_come(service: Rig, opened: Opened) -> None:
    session = await start(service, f"echo first; {WAITS}; printf 'no end'; sleep 1; echo ' yet'; echo x > new")
    page = await opened(f"/s/{session['id']}")
    await expect(page.locator("#output")).to_contain_text("first")
    await expect(page.locator("#steps")).to_contain_text("execute")
    await expect(page.locator("#head .state")).to_have_text("running")
    await page.locator("textarea").fill("a draft")
    await go(service, session)
    await expect(page.locator("#output > div", has_text="no end yet")).to_have_count(1)
    await expect(page.locator("#head .state")).to_have_text("succeeded")
    await expect(page.locator("#side")).to_contain_text("Pull request")
    assert await page.locator("textarea").input_value() == "a draft"


async def test_a_list_changes_by_itself_and_keeps_what_was_selected(service: Rig, opened: Opened) -> None:
    session = await start(service, f"echo now in sight; {WAITS}")
    page = await opened("/")
    row = page.locator(f"#{session['id']}")
    await expect(row).to_contain_text("now in sight")
    await row.get_by_role("checkbox").check()
    await go(service, session)
    await expect(page.locator("section", has=page.locator("#group-done")).locator(f"#{session['id']}")).to_be_visible()
    await expect(page.locator(f"#{session['id']}").get_by_role("checkbox")).to_be_checked()


async def test_a_slow_script_makes_no_page_that_stands_still(service: Rig, opened: Opened) -> None:
    """htmx looked for what is live before its extension had come: over a slow line the page never changed."""
    session = await start(service, f"echo now in sight; {WAITS}")
    page = await opened("/new")

    async def late(route: Route) -> None:
        await asyncio.sleep(0.5)
        await route.continue_()

    await page.context.route("**/hx-sse-*", late)
    await page.context.route("**/page.js*", late)
    await page.goto(f"{service.url}/")
    row = page.locator(f"#{session['id']}")
    await expect(row).to_contain_text("now in sight")
    await go(service, session)
    await expect(page.locator("section", has=page.locator("#group-done")).locator(f"#{session['id']}")).to_be_visible()


async def test_cancel_ends_the_run_and_says_what_is_kept(service: Rig, opened: Opened) -> None:
    session = await start(service, "echo half > half; echo begun; sleep 600")
    page = await opened(f"/s/{session['id']}")
    await expect(page.locator("#output")).to_contain_text("begun")
    await page.get_by_role("button", name="Cancel").click()
    await expect(page.locator("#head .state")).to_have_text("cancelled")
    await expect(page.locator("#outcome")).to_contain_text("git am")
    await picture(page, "cancelled")


async def test_a_follow_up_waits_for_the_run_and_goes_on_with_it(service: Rig, opened: Opened) -> None:
    session = await start(service, f"{WAITS}; echo 1 > one")
    page = await opened(f"/s/{session['id']}")
    await page.locator("textarea").fill("echo two > two")
    await page.get_by_role("button", name="Queue").click()
    await expect(page.locator("#outcome")).to_contain_text("An earlier run of this session has not ended yet.")
    assert await page.locator("textarea").input_value() == ""
    await go(service, session)
    await expect(page.locator("#head .state")).to_have_text("succeeded")
    await expect(page.locator("#head")).to_contain_text("run 2 of 2")
    await page.get_by_role("link", name="Run 1").click()
    await expect(page.locator("#head")).to_contain_text("You are looking at run 1.")


async def test_a_failed_run_says_why_and_hands_over_its_work(service: Rig, opened: Opened) -> None:
    session = await start(service, "echo kept >> README.md; echo 'Error: no such target' >&2; exit 7")
    page = await opened(f"/s/{session['id']}")
    failure = page.get_by_role("region", name="Why it failed")
    await expect(failure).to_contain_text("Task failed")
    await expect(failure).to_contain_text("exit code 7")
    await expect(failure.locator("code", has_text="git am")).to_be_visible()
    async with page.expect_download() as patch:
        await failure.get_by_role("link", name="Patch").click()
    path = await (await patch.value).path()
    assert "+kept" in path.read_text()
    async with page.expect_download() as bundle:
        await failure.get_by_role("link", name="Bundle").click()
    file = await (await bundle.value).path()
    assert file.read_bytes().startswith(b"# v2 git bundle")
    command = (await failure.locator("code", has_text="git fetch").inner_text()).replace(
        f"{session['id']}.bundle", str(file)
    )
    await _fetches(service, session, command)
    await picture(page, "failed")


async def _fetches(service: Rig, session: dict[str, str], command: str) -> None:
    """The command that the page shows works in a clone of the repository."""
    upstream = next(service.root.rglob(f"{session['repo'].partition('/')[2]}.git"))
    clone = service.root / f"clone-{session['id']}"
    for line in (f"git clone -q {upstream} {clone}", f"cd {clone} && git checkout -q --detach && {command}",
                 f"cd {clone} && git log --all -p | grep -q '^+kept'"):  # fmt: skip
        process = await asyncio.create_subprocess_shell(line, stderr=asyncio.subprocess.PIPE)
        _, told = await process.communicate()
        assert process.returncode == 0, (line, told)


async def test_a_page_goes_on_when_the_server_is_back(opened: Opened, service: Rig) -> None:
    session = await start(service, f"echo before; {WAITS}; seq 1 5; echo after")
    page = await opened(f"/s/{session['id']}")
    await expect(page.locator("#output")).to_contain_text("before")
    port = service.url.rpartition(":")[2]
    await service.stop()
    await expect(page.locator("#connection")).to_contain_text("The connection is lost.")
    service.environment["GITWARD_PORT"] = port
    await service.start()
    going = asyncio.create_task(keep_going(service, session))  # the run may be taken over, in a checkout made anew
    await expect(page.locator("#head .state")).to_have_text("succeeded", timeout=120_000)
    going.cancel()
    await expect(page.locator("#output")).to_contain_text("after")
    await expect(page.locator("#connection")).to_be_hidden()


async def test_forty_thousand_lines_appear_at_once(service: Rig, opened: Opened) -> None:
    session = await start(service, f"{WAITS}; seq -f 'line %.0f of very many, with some words in it' 1 40000")
    page = await opened(f"/s/{session['id']}")
    await expect(page.locator("#steps")).to_contain_text("execute")
    await watch_lines(page)
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Performance.enable")
    before = await metric(devtools, "LayoutCount")
    await go(service, session)
    await expect(page.locator("#output > div").last).to_contain_text("line 40000", timeout=120_000)
    layouts = await metric(devtools, "LayoutCount") - before
    seconds = await page.evaluate("(window.lastLine - window.firstLine) / 1000")
    assert await page.locator("#output > div").count() <= 5000
    print(f"40,000 lines: {seconds:.2f} s, {layouts:.0f} layouts")
    slowness = machine.slowness()
    assert layouts <= 50 * slowness  # one or two for each of the frames, which are told ten times a second
    assert seconds <= 1.0 * slowness


async def watch_lines(page: Page) -> None:
    """Notes when the first and the last line were shown."""
    await page.evaluate("""() => {
      document.addEventListener("lines", () => { window.firstLine ??= performance.now(); });
      new MutationObserver(() => { window.lastLine = performance.now(); }).observe(
        document.getElementById("output"), {childList: true});
    }""")


async def metric(devtools: object, name: str) -> float:
    told = await devtools.send("Performance.getMetrics")  # type: ignore[attr-defined] # Playwright's session
    return float(next(each["value"] for each in told["metrics"] if each["name"] == name))


async def test_bulk_archive_takes_what_was_selected(service: Rig, opened: Opened) -> None:
    sessions = [await start(service, "true", title=f"Bulk {number}") for number in range(3)]
    page = await opened("/?q=Bulk")
    for each in sessions:
        await expect(page.locator("section", has=page.locator("#group-done")).locator(f"#{each['id']}")).to_be_visible()
    await page.locator("#select-all").check()
    await expect(page.locator("#selected")).to_have_text("3 selected:")
    await picture(page, "bulk")
    await page.get_by_role("button", name="Archive").click()
    await expect(page.get_by_role("status").first).to_have_text("3 archived.")
    await expect(page.locator(".row")).to_have_count(0)
    await page.goto(f"{service.url}/?archived=true&q=Bulk")
    await expect(page.locator(".row")).to_have_count(3)


async def test_everything_works_without_a_script(service: Rig, opened: Opened) -> None:
    repository = await service.repository()
    page = await opened("/", java_script_enabled=False)
    await page.get_by_role("link", name="New session").click()
    await page.get_by_label("Repository").fill("not a name")
    await page.get_by_label("Command or prompt").fill("echo plain; echo 1 > one")
    await page.get_by_role("button", name="Start").click()
    await expect(page.get_by_role("alert")).to_contain_text("Repository")
    assert await page.get_by_label("Command or prompt").input_value() == "echo plain; echo 1 > one"
    await page.get_by_label("Repository").fill(repository.full_name)
    await page.get_by_role("button", name="Start").click()
    async with asyncio.timeout(120):
        while await page.locator("#head .state").inner_text() != "succeeded":
            await asyncio.sleep(0.2)
            await page.reload()
    await expect(page.locator("#output")).to_contain_text("plain")
    await page.locator("#head").get_by_role("link", name="Diff").click()
    await expect(page.locator("tr.add")).to_contain_text("1")
    await page.go_back()
    await page.locator("textarea").fill("echo more")
    await page.get_by_role("button", name="Follow up").click()
    await expect(page.locator("#head")).to_contain_text("run 2 of 2")
    await picture(page, "without-script")
