"""A follow-up with another budget, and what a session's webhooks were sent."""

from __future__ import annotations

import re
from datetime import timedelta

import sqlalchemy as sa

from gitward.sessions.model import Owner, RunState, new_id, now
from gitward.store import schema
from gitward.store.database import Database
from gitward.web.fields import budget_of, run_fields
from gitward.web.signing_in.forms import Form
from page_stage import AGENT, add_session

from .conftest import Visitor

ALICE = Owner(issuer="gitward", subject="alice")
SPENT = {"reason": "budget_exhausted", "message": "Budget spent."}
HOSTILE = "<script>x</script>"


def add_delivery(database: Database, session_id: str, **values: object) -> None:
    at = now() - timedelta(minutes=5)
    row: dict[str, object] = {
        "id": new_id("msg"), "session_id": session_id, "run_id": None, "data": {}, "at": at, "next_at": at,
        "ended_at": None, "target": "session", "type": "run.ended", "state": "delivered", "tries": 1, "status": 204,
        "problem": None,
    }  # fmt: skip
    with database.transaction() as tx:
        tx.execute(sa.insert(schema.deliveries).values(**(row | values)))


def add_callback(database: Database, session_id: str, url: str) -> None:
    with database.transaction() as tx:
        tx.execute(sa.insert(schema.callbacks).values(session_id=session_id, url=url, secret="whsec_x", format="slack"))


def test_a_form_has_all_four_limits() -> None:
    form = Form({"kind": "prompt", "text": "x", "budget_tokens": "1,000", "budget_seconds": "90", "budget_usd": "0.5",
                 "budget_requests": "7"})  # fmt: skip
    assert run_fields(form)["budget"] == {"requests": 7, "tokens": 1000, "usd": 0.5, "seconds": 90}
    assert budget_of(None) == {"requests": "", "tokens": "", "usd": "", "seconds": ""}


async def test_after_a_spent_budget_the_follow_up_shows_it_to_be_raised(alices: Visitor) -> None:
    spent, _ = add_session(alices.database, ALICE, title="t", state=RunState.FAILED, instruction=AGENT, run=SPENT)
    page = await alices.get(f"/s/{spent}")
    assert '<details class="budget" open>' in page
    assert re.search(r'name="budget_tokens"[^>]*value="200000"', page)
    assert re.search(r'name="budget_usd"[^>]*value="2"', page)
    done, _ = add_session(alices.database, ALICE, title="t", instruction=AGENT)
    assert '<details class="budget">' in await alices.get(f"/s/{done}")
    command, _ = add_session(alices.database, ALICE, title="t")
    assert 'class="budget"' not in await alices.get(f"/s/{command}")


async def test_a_budget_that_is_none_comes_back_as_it_was_written(alices: Visitor) -> None:
    spent, _ = add_session(alices.database, ALICE, title="t", state=RunState.FAILED, instruction=AGENT, run=SPENT)
    fields = {"kind": "prompt", "text": "go on", "budget_tokens": "many", "budget_seconds": "0"}
    answer = await alices.post(f"/s/{spent}/follow-up", status=422, **fields)
    assert '<details class="budget" open>' in answer.text
    assert re.search(r'name="budget_tokens"[^>]*value="many"', answer.text)
    assert "go on</textarea>" in answer.text


async def test_a_session_tells_its_deliveries_without_the_addresss_path(alices: Visitor, bobs: Visitor) -> None:
    session_id, _ = add_session(alices.database, ALICE, title="t")
    assert "Webhooks" not in await alices.get(f"/s/{session_id}")
    add_callback(alices.database, session_id, "https://hooks.example.com/services/T00/SECRET")
    add_delivery(alices.database, session_id)
    add_delivery(alices.database, session_id, target="server-4f2a90c1d7e3", state="failed", tries=9, status=None,
                 problem=f"The target answered {HOSTILE}")  # fmt: skip
    page = await alices.get(f"/s/{session_id}")
    assert "hooks.example.com" in page
    assert "SECRET" not in page
    assert "whsec_" not in page
    assert "server-4f2a90c1d7e3" in page
    assert HOSTILE not in page
    assert "hooks.example.com" not in await bobs.get(f"/s/{session_id}", status=404)


async def test_operators_see_webhooks_by_target_and_nobodys_address(alices: Visitor, olgas: Visitor) -> None:
    session_id, _ = add_session(alices.database, ALICE, title="Private title")
    add_callback(alices.database, session_id, "https://hooks.example.com/services/T00/SECRET")
    for state in ("delivered", "delivered", "pending", "failed"):
        add_delivery(alices.database, session_id, state=state, problem=None if state == "delivered" else "It said 503.")
    add_delivery(alices.database, session_id, target="server-4f2a90c1d7e3")
    page = await olgas.get("/operator")
    row = re.search(r"callbacks of sessions</td><td>2</td><td>1</td><td class=\"minus\">1</td>", page)
    assert row
    assert "It said 503." in page
    assert "server-4f2a90c1d7e3" in page
    assert "hooks.example.com" not in page
    assert "Private title" not in page
