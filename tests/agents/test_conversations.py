"""Real agents remember: a follow-up goes on where the last prompt ended, also on another machine and after a death."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from gitward.agents.archive import pack, unpack
from gitward.agents.built_in import BUILT_IN
from gitward.repositories.checkout import CHECKOUT_DIR
from gitward.runs.storage.workspace_names import workspace_of
from gitward_standin.language_model import Say, Shell, Write
from gitward_standin.language_model.questions import Question
from processes import processes_of
from rig import RUN_SECONDS, Json, Rig, data_of

from .house import House, house

pytestmark = pytest.mark.asyncio(loop_scope="module")

AGENTS = ("claude", "codex", "opencode", "qwen")
WORD = "plum-7319"  # of the first prompt
SAID = "I shall remember the plums."


async def lose_workspace(service: Rig, session: Json) -> None:
    """As retention does, or another machine. The service may be removing a part of it at the same time."""
    folder = workspace_of(service.data / "workspaces", session["id"])
    while folder.exists():
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


@pytest.mark.parametrize("agent", AGENTS)
async def test_a_follow_up_goes_on_in_the_same_conversation(at_home: House, agent: str) -> None:
    """Its model gets the first prompt and its answer again, though only the database has kept them."""
    at_home.model.script = lambda _: Say(text=SAID)
    repository = await at_home.service.repository()
    prompt = f"Remember the word {WORD}."
    session, run, events = await at_home.caller.run(repository, prompt=prompt, agent=agent)
    assert run["state"] == "succeeded", (run, events[-8:])
    await lose_workspace(at_home.service, session)
    at_home.model.asked.clear()
    body = {"prompt": "Which word was it?", "agent": agent}
    more = await at_home.caller.post(f"/sessions/{session['id']}/runs", body)
    run, events = await at_home.caller.finished(session, more["id"])
    assert run["state"] == "succeeded", (run, events[-8:])
    [started] = data_of(events, "agent.started")
    assert started["resumed"], (data_of(events, "notice"), at_home.service.log.read_text()[-3000:])
    last = at_home.model.calls[-1].body
    assert WORD in last
    assert SAID in last  # its last answer, which some write only after they said that they are done
    assert "You do not remember" not in last
    assert [each["text"] for each in data_of(events, "agent.ended")] == [SAID]  # the history is not told again


def forget(service: Rig, agent: str) -> None:
    """The agent's id of the conversation is one that it does not know any more."""
    stale = "ses_0123456789abcdefghijklmnop" if agent == "opencode" else "00000000-0000-4000-8000-000000000000"
    with closing(sqlite3.connect(service.data / "gitward.db", timeout=30)) as database, database:
        [(row, packed)] = database.execute("SELECT rowid, content FROM artifacts WHERE kind = 'conversation'")
        known = unpack(packed, BUILT_IN[agent].conversation)
        database.execute(
            "UPDATE artifacts SET content = ? WHERE rowid = ?", (pack(replace(known, conversation=stale)), row)
        )


@pytest.mark.parametrize("agent", AGENTS[:3])
async def test_a_conversation_that_the_agent_does_not_know_begins_anew_and_says_so(agent: str) -> None:
    """In a service of its own. What was said is told again, from the session's log."""
    async with house() as forgetful:
        forgetful.model.script = lambda _: Say(text=SAID)
        repository = await forgetful.service.repository()
        session, run, _ = await forgetful.caller.run(repository, prompt=f"Remember the word {WORD}.", agent=agent)
        await asyncio.to_thread(forget, forgetful.service, agent)
        forgetful.model.asked.clear()
        body = {"prompt": "Which word was it?", "agent": agent}
        more = await forgetful.caller.post(f"/sessions/{session['id']}/runs", body)
        run, events = await forgetful.caller.finished(session, more["id"])
        assert run["state"] == "succeeded", (run, events[-8:])
        assert data_of(events, "agent.started")[-1]["resumed"] is False, events
        assert "could not be resumed" in str(data_of(events, "notice"))
        last = forgetful.model.calls[-1].body
        assert "You do not remember" in last
        assert WORD in last
        assert SAID in last


def write_then_wait(question: Question) -> Write | Shell:
    if question.done == 0:
        return Write(path=f"{CHECKOUT_DIR}/NOTES.md", text="precious\n")
    return Shell(command="sleep 1000")


@pytest.mark.parametrize("agent", AGENTS[:3])
async def test_after_kill_9_in_a_tool_call_it_goes_on(agent: str) -> None:
    """In a service of its own."""
    async with house() as mortal:
        mortal.model.script = write_then_wait
        session = await mortal.caller.session(
            await mortal.service.repository(), prompt=f"Remember {WORD}, and write NOTES.md.", agent=agent
        )
        async with asyncio.timeout(RUN_SECONDS):
            while "sleep 1000" not in " ".join(processes_of(mortal.service.root)):
                await asyncio.sleep(0.1)
        await mortal.service.stop(signal.SIGKILL)
        mortal.model.asked.clear()
        mortal.model.script = lambda _: Say(text="NOTES.md was there already.")
        await mortal.service.start()
        async with mortal.service.client() as again:
            run, events = await again.finished(session)
            assert (run["state"], run["attempt"], run["changed"]) == ("succeeded", 2, True), (run, events[-8:])
            assert [each["resumed"] for each in data_of(events, "agent.started")] == [False, True], events
            patch = (await again.http.get(f"/sessions/{session['id']}/patch")).text
        assert "+precious" in patch
        last = mortal.model.calls[-1].body
        assert "Your turn was interrupted" in last
        assert "precious" in last  # its own tool call
