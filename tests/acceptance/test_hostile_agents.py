"""An agent program that is hostile harms its own run alone: others do not notice, and the worker's loop is not held.

That no test here holds the loop is looked at by `held_loops`, in each.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from agent_rig import agent_rig
from machine import slowness
from rig import RUN_SECONDS, Client, Rig, data_of

pytestmark = pytest.mark.timeout(900)

# Each for ever, beside a command of another session.
ATTACKS = {
    "floods": """
chunk = json.dumps({"jsonrpc": "2.0", "method": "session/update", "params": {"sessionId": SESSION, "update": {
    "sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "x "}}}})
while True:
    write((chunk + "\\n") * 500)
""",
    "floods with calls of its own making": """
n = 0
while True:
    n += 1
    more = {"status": "failed", "rawInput": {"a": ["b"] * 500}}
    update("tool_call", toolCallId=str(n), title="t" * 1000, kind="execute", **more)
""",
    "writes a line without end": """
while True:
    write("x" * 65536)
""",
    "writes lines that are dear to parse": """
line = '{"jsonrpc": "2.0", "method": "session/update", "params": ' + "[" * 20000 + "]" * 20000 + "}\\n"
wide = '{"a": [' + "{}," * 1_000_000 + "{}]}\\n"
while True:
    write(line + wide)
""",
    "asks without reading the answers": """
while True:
    send({"id": "x", "method": "terminal/create", "params": {"sessionId": SESSION, "command": "id"}})
""",
    "forks": """
for _ in range(100):
    try:
        if os.fork() == 0:
            os.setsid()
            while True:
                write("{}\\n")
    except OSError:
        break
time.sleep(1000)
""",
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house() -> AsyncIterator[Rig]:
    async with agent_rig() as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def caller(house: Rig) -> AsyncIterator[Client]:
    async with house.client() as made:
        yield made


def worker_cpu(house: Rig) -> float:
    """Seconds of CPU that the service's own process has used."""
    assert house.process is not None
    fields = Path(f"/proc/{house.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("attack", ATTACKS)
async def test_other_runs_do_not_notice(house: Rig, caller: Client, attack: str) -> None:
    hostile = await caller.session(await house.repository(), prompt=ATTACKS[attack])
    async with asyncio.timeout(RUN_SECONDS):
        async for event in caller.stream(hostile):
            if event["type"] == "agent.started":
                break
    began = time.monotonic()
    _, run, _ = await caller.run(await house.repository(), "echo hello > hello.txt")
    assert run["state"] == "succeeded", run
    assert time.monotonic() - began < 20 * slowness()
    cpu, since = worker_cpu(house), time.monotonic()
    while time.monotonic() - since < 2:  # what it costs, while it goes on
        await asyncio.sleep(0.1)
    used = (worker_cpu(house) - cpu) / (time.monotonic() - since)
    assert used < 0.5, f"{used:.0%} of a core"
    began = time.monotonic()
    await caller.post(f"/sessions/{hostile['id']}/cancel", status=200)
    run, events = await caller.finished(hostile)
    assert run["state"] == "cancelled", run
    assert time.monotonic() - began < 10 * slowness()
    assert sum(each["type"].startswith("agent.") for each in events) < 2_000


async def test_many_updates_cost_few_events(house: Rig, caller: Client) -> None:
    """20,000 here; of 100,000 the tests of `Events` tell."""
    prompt = """
for n in range(20_000):
    say(f"word {n} ")
    if n % 100 == 0:
        update("tool_call", toolCallId=str(n // 500), title="Work", kind="other", status="completed")
say("The end.")
"""
    _, run, events = await caller.run(await house.repository(), prompt=prompt)
    assert (run["state"], run["changed"]) == ("succeeded", False), run
    assert run["message"].endswith("The end.")
    assert sum(event["type"].startswith("agent.") for event in events) < 1_100
    said = "".join(each["text"] for each in data_of(events, "agent.message"))
    assert said == "".join(f"word {n} " for n in range(20_000)) + "The end."


async def test_what_is_too_long_or_no_message_is_skipped(house: Rig, caller: Client) -> None:
    prompt = """
write("npm warn this is no JSON\\n\\n{}\\n[]\\n[1]\\nnull\\n" + "[" * 200_000 + "\\n")
say("a" * (5 * 1024 * 1024))
write('{"a": "' + "x" * 1024 * 1024)
for _ in range(50):
    write("x" * 1024 * 1024)
write("\\n")
send({"id": "x" * 1_000_000, "method": "fs/read_text_file"})
say("Still here.")
"""
    _, run, events = await caller.run(await house.repository(), prompt=prompt)
    assert (run["state"], run["message"]) == ("succeeded", "Still here."), run
    [ended] = data_of(events, "agent.ended")
    assert ended["dropped"] >= 6


async def test_answers_to_nothing_and_second_answers_change_nothing(house: Rig, caller: Client) -> None:
    prompt = """
for other in (0, -1, 1, 2, 3, id + 1, str(id), None, 2**80, [id], {"a": id}):
    send({"id": other, "result": {"stopReason": "refusal"}})
tell({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "of another"}}, session="other")
for lie in (None, 7, [], {}, {"sessionUpdate": 7}, {"sessionUpdate": "tool_call", "toolCallId": ["x"]},
            {"sessionUpdate": "tool_call", "toolCallId": "a", "locations": "/etc", "content": 7, "title": {"a": 1}},
            {"sessionUpdate": "plan", "entries": 7}, {"sessionUpdate": "usage_update", "used": -1, "size": "x"}):
    tell(lie)
say("Right.")
send({"id": id, "result": {"stopReason": "end_turn"}})
send({"id": id, "result": {"stopReason": "refusal"}})
"""
    _, run, events = await caller.run(await house.repository(), prompt=prompt)
    assert (run["state"], run["message"]) == ("succeeded", "Right."), run
    assert "of another" not in str(events)


async def test_ids_and_paths_that_lie_are_texts_and_nothing_more(house: Rig, caller: Client) -> None:
    prompt = """
lies = ["../../../../etc/passwd", "/proc/1/environ", "x" * 100_000, "a\\u0000b\\ud800c\\u001b[2Jd\\u202e"]
for lie in lies:
    update("tool_call", toolCallId=lie, title=lie, kind=lie, status=lie, locations=[{"path": lie}] * 500, rawInput=lie,
           content=[{"type": "diff", "path": lie, "oldText": lie, "newText": lie}] * 500)
say("Done.", messageId=lies[3])
"""
    _, run, events = await caller.run(await house.repository(), prompt=prompt)
    assert run["state"] == "succeeded", run
    tools = data_of(events, "agent.tool")
    assert len(tools) >= 4
    for tool in tools:
        assert tool["kind"] == "other"
        assert tool["status"] in {"pending", "cancelled"}
        assert len(str(tool)) < 64 * 1024
        assert len(tool["id"]) <= 129
        assert "\0" not in tool["title"]
        assert "\x1b" not in tool["title"]
        assert "\u202e" not in tool["title"]


async def test_the_token_is_in_no_event(house: Rig, caller: Client) -> None:
    """The agent has none; one of its repository, or pasted into its prompt, is masked in what it says."""
    secret = "ghp_" + "0123456789abcdef" * 2
    prompt = f"""
secret = "{secret[:10]}" + "{secret[10:]}"
say("Here: " + secret[:15])
say(secret[15:] + " and so on")
think(secret)
plan(secret)
update("tool_call", toolCallId=secret, title=secret, rawInput={{"a": secret}}, locations=[{{"path": secret}}],
       content=[{{"type": "content", "content": {{"type": "text", "text": "x" * 8170 + secret}}}},
                {{"type": "diff", "path": secret, "oldText": secret, "newText": secret}}])
ask("session/request_permission", toolCall={{"title": secret}}, options=[])
say("Last: " + secret)
stop = secret
"""
    session, run, _ = await caller.run(await house.repository(), prompt=prompt)
    assert run["reason"] == "agent_failed", run
    page = await caller.http.get(f"/sessions/{session['id']}/events?limit=200")
    assert "Last: ***" in page.text
    assert secret not in page.text
    assert secret[:20] not in page.text
    assert secret not in str(await caller.get(f"/sessions/{session['id']}/runs/{run['id']}"))
