"""What pages show, to whom, and what they never let through."""

from __future__ import annotations

import re

import pytest

from gitward.sessions.model import EventType, Owner, RunState
from gitward.store.database import Database
from page_stage import AGENT, CONVERSATION, DIFF, add_session, output, said, tool

from .conftest import Visitor

ALICE = Owner(issuer="gitward", subject="alice")
SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>"
HIDDEN = "safe\u202egnp.exe\u2066\u200b"
HOSTILE = SCRIPT + HIDDEN
MARKDOWN = f"[click](javascript:alert(1)) ![pixel](https://evil.example/p.png) <b onclick=x>b</b> {HOSTILE}"
HOSTILE_DIFF = DIFF.replace(b"VERSION = 3", HOSTILE.encode()).replace(b"new name.md", b"<img src=x>.md")
_ALLOWED_SOURCES = re.compile(
    r'(?:src|href)="(/[^"]*|#[^"]*|\?[^"]*|https://github\.com/[^"]*|https?://good\.example/?)"'
)


def hostile_session(database: Database) -> tuple[str, str]:
    return add_session(
        database, ALICE, title=f"Title {HOSTILE}", branch=f"gitward/{HOSTILE}", state=RunState.FAILED,
        instruction={**AGENT, "prompt": HOSTILE}, diff=HOSTILE_DIFF,
        run={"reason": "push_rejected", "message": HOSTILE, "changed": True},
        session={"pull_request": {"number": 1, "url": "javascript:alert(1)", "state": "open", "draft": False}},
        entries=[
            output(f"\x1b[31mred\x1b[0m \x1b]8;;https://evil.example\x07link\x1b]8;;\x07 \x1b[2J{HOSTILE}\n"),
            said("m", MARKDOWN), said("t", MARKDOWN, thought=True), tool("c", HOSTILE, input=HOSTILE, output=HOSTILE),
            (EventType.NOTICE, {"message": HOSTILE}), (EventType.POLICY_DENIED, {"rule": HOSTILE, "message": HOSTILE}),
            (EventType.AGENT_PLAN, {"entries": [{"content": HOSTILE, "status": "pending", "priority": ""}]}),
        ],
    )  # fmt: skip


async def test_nothing_of_a_sandbox_becomes_markup_on_any_page(alices: Visitor) -> None:
    session_id, run_id = hostile_session(alices.database)
    for path in ("/", f"/s/{session_id}", f"/s/{session_id}/diff", f"/s/{session_id}/diff/1",
                 f"/s/{session_id}/diff/2?bare=true", f"/s/{session_id}/runs/{run_id}/output",
                 f"/s/{session_id}/runs/{run_id}/output?q=link"):  # fmt: skip
        page = await alices.get(path)
        assert "<script>" not in page, path
        assert "<img" not in page, path
        assert "\u202e" not in page, path
        assert "\x1b" not in page, path
        assert "onclick=x>" not in page.replace("&lt;b onclick=x&gt;", ""), path
        for found in re.finditer(r'(?:src|href|action)="([^"]*)"', page):
            assert found[1].startswith(("/", "#", "?", "https://github.com/acme/")), (path, found[0])


async def test_every_answer_forbids_scripts_of_others_and_frames(alices: Visitor) -> None:
    for path in ("/", "/nowhere", "/s/ses_none", "/assets/gitward.css"):
        answer = await alices.http.get(path)
        policy = answer.headers.get("content-security-policy", "")
        if path == "/nowhere":  # the API's: a problem document
            continue
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
    page = await alices.get("/")
    assert not re.search(r"<script(?![^>]*\bsrc=)|\sstyle=|\son[a-z]+=", page)


async def test_another_owners_session_is_not_there(alices: Visitor, bobs: Visitor) -> None:
    session_id, run_id = add_session(alices.database, ALICE, title="Private", diff=DIFF)
    for path in ("", "/diff", f"/runs/{run_id}/output", f"/runs/{run_id}/raw", f"/runs/{run_id}/live", "/kept/patch"):
        assert "Private" not in await bobs.get(f"/s/{session_id}{path}", status=404)
    for path in ("cancel", "archive", "follow-up", f"runs/{run_id}/retry", f"runs/{run_id}/publish"):
        await bobs.post(f"/s/{session_id}/{path}", status=404, text="x")
    assert "Private" not in await bobs.get("/")
    await bobs.post("/bulk", action="archive", id=session_id)
    assert "Private" in await alices.get("/")


async def test_forms_without_their_token_change_nothing(alices: Visitor) -> None:
    session_id, _ = add_session(alices.database, ALICE, title="Stays")
    for path in (f"/s/{session_id}/archive", "/bulk", "/new", f"/s/{session_id}/follow-up"):
        answer = await alices.http.post(path, data={"id": session_id, "action": "archive"})
        assert answer.status_code == 403, path
    assert "Stays" in await alices.get("/")


async def test_who_is_not_signed_in_is_led_there(site: object, backend: object) -> None:
    from browser import browser

    async with browser(site) as http:  # type: ignore[arg-type] # the fixture's
        for path in ("/", "/new", "/s/ses_x", "/operator"):
            answer = await http.get(path)
            assert answer.status_code == 303
            assert answer.headers["location"].startswith("/sign-in")


async def test_a_refused_form_comes_back_with_all_that_was_written(alices: Visitor) -> None:
    answer = await alices.post(
        "/new", status=422, repo="other/place", text="make a very long thing", kind="command", title="My title"
    )
    assert "make a very long thing" in answer.text
    assert 'value="My title"' in answer.text
    assert "acme/*" in answer.text
    assert "must be one of the repositories" in (await alices.post("/new/check", status=200, repo="other/x")).text
    assert "would take this" in (await alices.post("/new/check", status=200, repo="acme/x", text="true")).text


async def test_a_refused_follow_up_keeps_its_draft(alices: Visitor) -> None:
    session_id, _ = add_session(alices.database, ALICE, title="t", repo="elsewhere/gone")
    answer = await alices.post(f"/s/{session_id}/follow-up", status=422, text="my long draft", kind="command")
    assert "my long draft</textarea>" in answer.text
    assert "must be one of the repositories" in answer.text


async def test_a_new_session_remembers_the_last_choice(alices: Visitor) -> None:
    answer = await alices.post(
        "/new", repo="acme/tools", target_branch="dev", text="make x", kind="command", mode="dry_run"
    )
    assert "?said=created" in answer.headers["location"]
    page = await alices.get("/new")
    assert 'value="acme/tools"' in page
    assert 'value="dev"' in page
    assert '<option value="dry_run" selected>' in page
    assert "make x" not in page
    assert "page" in await alices.get("/?origin=page")


async def test_pull_requests_lead_people_to_the_page_and_scripts_to_the_api(alices: Visitor) -> None:
    session_id, _ = add_session(alices.database, ALICE, title="t")
    answer = await alices.http.get(f"/sessions/{session_id}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/s/{session_id}")
    answer = await alices.http.get(f"/sessions/{session_id}", headers={"Accept": "application/json"})
    assert answer.status_code == 401


async def test_only_operators_see_their_page(alices: Visitor, olgas: Visitor) -> None:
    add_session(alices.database, ALICE, title="Secret title", state=RunState.FAILED, run={"reason": "task_failed"})
    await alices.get("/operator", status=403)
    page = await olgas.get("/operator")
    assert "task_failed" in page
    assert "Secret title" not in page
    assert 'href="/operator"' not in await alices.get("/")


async def test_a_session_page_shows_conversation_plan_use_and_refusal(alices: Visitor) -> None:
    session_id, _ = add_session(
        alices.database, ALICE, title="t", state=RunState.RUNNING, instruction=AGENT, running="execute",
        entries=CONVERSATION,
    )  # fmt: skip
    page = await alices.get(f"/s/{session_id}")
    assert "<em>pinned versions</em>" in page
    assert re.search(r'<details class="tool thought"[^>]*>', page)
    assert '<span class="del">−now = datetime.utcnow()</span>' in page
    assert '<li class="done">' in page
    assert "push to refs/heads/main is refused" in page
    assert "hx-sse:connect=" in page


@pytest.mark.parametrize("state", [each for each in RunState if each.is_final])
async def test_ended_runs_keep_no_stream_open(alices: Visitor, state: RunState) -> None:
    session_id, _ = add_session(alices.database, ALICE, title="t", state=state)
    assert "hx-sse:connect=" not in await alices.get(f"/s/{session_id}")


async def test_raw_output_and_search_reach_all_of_it(alices: Visitor) -> None:
    texts = [output("".join(f"line {number} {at}\n" for at in range(300))) for number in range(50)]
    session_id, run_id = add_session(alices.database, ALICE, title="t", entries=texts)
    raw = await alices.get(f"/s/{session_id}/runs/{run_id}/raw")
    assert raw.count("\n") == 15_000
    page = await alices.get(f"/s/{session_id}/runs/{run_id}/output?q=line%200%20299")
    assert "line 0 299" in page
    assert "line 49 299" in await alices.get(f"/s/{session_id}")
    last = await alices.get(f"/s/{session_id}/runs/{run_id}/output")
    earlier = re.search(r'href="(\?before=\d+)"', last)
    assert earlier
    assert "line 42 0" in await alices.get(f"/s/{session_id}/runs/{run_id}/output{earlier[1]}")
