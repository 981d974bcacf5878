"""The client side of one connection, against an agent that may answer anything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gitward.agents.conversation import Conversation, Order, Started
from gitward.agents.lines import MAX_LINE
from gitward.agents.pace import BURST, NAP_SECONDS, UNITS_A_SECOND, Pace
from gitward.agents.peer import (
    METHOD_NOT_FOUND,
    MOST_UNITS,
    OUTBOX,
    Answered,
    ConnectionEnded,
    Peer,
    PeerError,
    TooMuch,
)
from gitward.agents.updates import Asked, Said, Update
from gitward.agents.verdict import Trouble, TurnEnd

Json = dict[str, Any]


class Agent:
    """The other end: what the peer wrote, and a way to answer."""

    def __init__(self, **more: Any) -> None:
        self.heard: list[Update | Asked] = []
        self.peer = Peer(self._hear, **more)

    async def _hear(self, update: Update | Asked) -> None:
        self.heard.append(update)

    async def read(self) -> Json:
        async with asyncio.timeout(10):
            message: Json = json.loads(await anext(self.peer.outbox))
        assert message.pop("jsonrpc") == "2.0"
        return message

    async def write(self, *messages: Any) -> None:
        await self.peer.take(b"".join(json.dumps(each).encode() + b"\n" for each in messages))

    async def tell(self, update: Any, session: Any = "s") -> None:
        await self.write({"method": "session/update", "params": {"sessionId": session, "update": update}})


@pytest.fixture
async def agent() -> Agent:
    return Agent()


@asynccontextmanager
async def asking(agent: Agent, method: str = "x") -> AsyncIterator[tuple[asyncio.Task[Json], int]]:
    """A request under way, and its id."""
    task = asyncio.create_task(agent.peer.request(method, {}))
    try:
        yield task, (await agent.read())["id"]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_request_gets_its_answer(agent: Agent) -> None:
    async with asking(agent) as (task, asked):
        await agent.write({"id": asked, "result": {"a": 1}})
        assert await task == {"a": 1}


async def test_an_error_has_its_code_and_its_details(agent: Agent) -> None:
    async with asking(agent) as (task, asked):
        await agent.write({"id": asked, "error": {"code": -32000, "message": "No", "data": {"details": "no key"}}})
        with pytest.raises(Answered, match="No: no key") as caught:
            await task
        assert caught.value.code == -32000


@pytest.mark.parametrize("error", [{}, {"code": "x", "message": 7}, {"message": "x" * 10**6, "data": ["y"]}])
async def test_an_error_that_lies_is_an_error(agent: Agent, error: Json) -> None:
    async with asking(agent) as (task, asked):
        await agent.write({"id": asked, "error": error})
        with pytest.raises(Answered) as caught:
            await task
        assert len(str(caught.value)) <= 2000


async def test_only_the_first_answer_to_what_was_asked_counts(agent: Agent) -> None:
    async with asking(agent) as (task, asked):
        others: list[Any] = [0, -1, asked + 1, str(asked), float(asked), True, None, [asked], {}, 2**80]
        for other in others:
            await agent.write({"id": other, "result": {"wrong": other}})
        assert not task.done()
        await agent.write({"id": asked, "result": {"right": 1}}, {"id": asked, "result": {"wrong": 2}})
        assert await task == {"right": 1}
    assert agent.peer.dropped.updates == 11


async def test_a_result_of_another_type_is_an_empty_one(agent: Agent) -> None:
    async with asking(agent) as (task, asked):
        await agent.write({"id": asked, "result": ["x"]})
        assert await task == {}


async def test_the_end_of_the_connection_is_told_to_all_who_wait_and_who_ask_later(agent: Agent) -> None:
    async with asking(agent) as (task, _):
        agent.peer.end(ConnectionEnded("gone"))
        agent.peer.end(ConnectionEnded("again"))
        with pytest.raises(ConnectionEnded, match="gone"):
            await task
    with pytest.raises(ConnectionEnded, match="gone"):
        await agent.peer.request("y", {})


async def test_updates_of_the_own_session_are_heard_and_no_others(agent: Agent) -> None:
    update = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "hi"}}
    await agent.tell(update)  # before there is a session
    agent.peer.session = "s"
    for session in ("t", None, 7, ["s"], {"s": 1}):
        await agent.tell(update, session)
    assert agent.heard == []
    await agent.tell(update)
    assert agent.heard == [Said(thought=False, message="", text="hi")]
    assert agent.peer.dropped.updates == 5


@pytest.mark.parametrize(
    "method", ["fs/read_text_file", "fs/write_text_file", "terminal/create", "mcp/connect", "_ext", "session/update", 7]
)
async def test_every_other_method_is_not_found(agent: Agent, method: Any) -> None:
    agent.peer.session = "s"
    await agent.write({"id": "q", "method": method, "params": {"sessionId": "s", "path": "/etc/passwd"}})
    answer = await agent.read()
    assert (answer["id"], answer["error"]["code"]) == ("q", METHOD_NOT_FOUND)


ONCE, ALWAYS, NO = (
    {"optionId": kind, "kind": kind, "name": "n"} for kind in ("allow_once", "allow_always", "reject_once")
)
CANCELLED = {"outcome": "cancelled"}


@pytest.mark.parametrize(
    ("options", "outcome"),
    [
        ([NO, ALWAYS, ONCE], {"outcome": "selected", "optionId": "allow_once"}),
        ([NO, ALWAYS], {"outcome": "selected", "optionId": "allow_always"}),
        *(
            (options, CANCELLED)
            for options in ([NO], [], None, 7, "allow_once", [7], [{"kind": "allow_once"}], [{**ONCE, "optionId": 7}])
        ),
        ([{**ONCE, "optionId": "x" * 1000}], CANCELLED),
        ([NO] * 100 + [ONCE], CANCELLED),
    ],
)
async def test_a_permission_is_given_once_and_told(agent: Agent, options: Any, outcome: Json) -> None:
    agent.peer.session = "s"
    params = {"sessionId": "s", "toolCall": {"toolCallId": "t", "title": "rm -rf /"}, "options": options}
    await agent.write({"id": 5, "method": "session/request_permission", "params": params})
    assert await agent.read() == {"id": 5, "result": {"outcome": outcome}}
    assert agent.heard == [Asked(what="rm -rf /", answer="cancelled" if outcome == CANCELLED else "allow_once")]


async def test_a_permission_for_another_session_is_not_given(agent: Agent) -> None:
    agent.peer.session = "s"
    params = {"sessionId": "t", "toolCall": {}, "options": [ONCE]}
    await agent.write({"id": 5, "method": "session/request_permission", "params": params})
    assert (await agent.read())["error"]["code"] == METHOD_NOT_FOUND


@pytest.mark.parametrize("id_", ["x" * 10_000, 2**80, True, 1.5, [], {}, None])
async def test_a_request_whose_id_lies_gets_no_answer(agent: Agent, id_: Any) -> None:
    await agent.write({"id": id_, "method": "fs/read_text_file"}, {"id": 1, "method": "x"})
    assert (await agent.read())["id"] == 1


async def test_an_agent_that_reads_no_answers_is_read_no_more(agent: Agent) -> None:
    """Each request wants an answer: they wait, at most so many, and then the agent does."""
    flood = asyncio.create_task(agent.write(*({"id": n, "method": "x"} for n in range(10 * OUTBOX))))
    while agent.peer.outbox._queue.qsize() < OUTBOX:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not flood.done()
    assert agent.peer.outbox._queue.qsize() == OUTBOX
    flood.cancel()
    await asyncio.gather(flood, return_exceptions=True)


async def test_who_writes_too_fast_waits(agent: Agent) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    number = int(BURST + UNITS_A_SECOND)  # a second's worth more than may come at once
    await agent.peer.take(b"{}\n" * number)
    assert loop.time() - began > 0.9 - NAP_SECONDS


async def test_a_line_costs_its_length_also_when_it_never_ends() -> None:
    pace = Pace(1e12, 1e12)
    agent = Agent(pace=pace)
    for _ in range(2 * MAX_LINE // 65536):
        await agent.peer.take(b"x" * 65536)
    assert pace.spent > 2 * MAX_LINE / 8192


async def test_a_turn_may_not_write_without_end() -> None:
    pace = Pace(1e12, 1e12)
    agent = Agent(pace=pace)
    async with asking(agent) as (task, _):
        pace.spent = MOST_UNITS
        await agent.write({})
        with pytest.raises(TooMuch):
            await task


# A whole turn.

ORDER = Order(prompt="Do it.", cwd="/workspace/repo", mode="free", start_seconds=5, idle_seconds=5)


async def answer_until_prompt(agent: Agent, **results: Any) -> list[Json]:
    """Answers each request with an object; what was asked, the prompt last."""
    asked = []
    while True:
        message = await agent.read()
        asked.append(message)
        if message["method"] == "session/prompt":
            return asked
        defaults = {"initialize": {"protocolVersion": 1}, "session/new": {"sessionId": "s"}}
        name = message["method"].replace("/", "_")
        result = results.get(name, defaults.get(message["method"], {}))
        await agent.write({"id": message["id"], **({"error": result} if "code" in result else {"result": result})})


async def talk(agent: Agent, order: Order = ORDER) -> asyncio.Task[TurnEnd]:
    async def started(_: Started) -> None:
        pass

    life = asyncio.get_running_loop().time()
    return asyncio.create_task(Conversation(agent.peer, order, life=lambda: life).talk(started))


async def test_a_turn_is_initialize_session_mode_prompt(agent: Agent) -> None:
    turn = await talk(agent)
    asked = await answer_until_prompt(agent)
    assert [each["method"] for each in asked] == ["initialize", "session/new", "session/set_mode", "session/prompt"]
    assert asked[0]["params"]["clientCapabilities"] == {
        "fs": {"readTextFile": False, "writeTextFile": False},
        "terminal": False,
    }
    assert asked[1]["params"] == {"cwd": "/workspace/repo", "mcpServers": []}
    assert asked[2]["params"] == {"sessionId": "s", "modeId": "free"}
    assert asked[3]["params"] == {"sessionId": "s", "prompt": [{"type": "text", "text": "Do it."}]}
    await agent.write({"id": asked[-1]["id"], "result": {"stopReason": "end_turn"}})
    assert await turn == TurnEnd(stop_reason="end_turn")


OPTIONS = {"sessionId": "s", "configOptions": [{"id": "effort"}, {"id": "llm", "category": "model"}]}
OLDER = {"sessionId": "s", "models": {"availableModels": []}}


@pytest.mark.parametrize(
    ("opened", "method", "params"),
    [
        (OPTIONS, "session/set_config_option", {"configId": "llm", "value": "m-1"}),
        (OLDER, "session/set_model", {"modelId": "m-1"}),
    ],
)
async def test_a_model_is_set_by_what_the_agent_offers(agent: Agent, opened: Json, method: str, params: Json) -> None:
    turn = await talk(agent, Order(prompt="p", cwd="/", model="m-1", idle_seconds=5))
    asked = await answer_until_prompt(agent, session_new=opened)
    assert (asked[2]["method"], asked[2]["params"]) == (method, {"sessionId": "s", **params})
    turn.cancel()
    await asyncio.gather(turn, return_exceptions=True)


NEW_FAILS: list[tuple[Json, Trouble, str]] = [
    ({"initialize": {"protocolVersion": 2}}, Trouble.NOT_READY, "another version"),
    ({"initialize": {"code": -32603, "message": "broken"}}, Trouble.NOT_READY, "broken"),
    ({"session_new": {"sessionId": ""}}, Trouble.NOT_READY, "no usable sessionId"),
    ({"session_new": {"sessionId": "x" * 1000}}, Trouble.NOT_READY, "no usable sessionId"),
    ({"session_new": {"code": -32000, "message": "Log in"}}, Trouble.NOT_SIGNED_IN, "Log in"),
    ({"session_set_mode": {"code": -32602, "message": "no such mode"}}, Trouble.NOT_READY, "no such mode"),
]


@pytest.mark.parametrize(("results", "trouble", "said"), NEW_FAILS)
async def test_a_start_that_fails_is_told(agent: Agent, results: Json, trouble: Trouble, said: str) -> None:
    turn = await talk(agent)
    answering = asyncio.create_task(answer_until_prompt(agent, **results))
    end = await turn
    answering.cancel()
    await asyncio.gather(answering, return_exceptions=True)
    assert end.trouble is trouble
    assert said in end.said


async def test_a_model_that_cannot_be_chosen_is_told(agent: Agent) -> None:
    turn = await talk(agent, Order(prompt="p", cwd="/", model="m-1", idle_seconds=5))
    answering = asyncio.create_task(answer_until_prompt(agent))
    assert "omit `model`" in (await turn).said
    answering.cancel()
    await asyncio.gather(answering, return_exceptions=True)


async def test_a_start_that_hangs_has_an_end(agent: Agent) -> None:
    end = await (await talk(agent, Order(prompt="p", cwd="/", start_seconds=0.05, idle_seconds=5)))
    assert end == TurnEnd(trouble=Trouble.NOT_READY, said="0.05 s were not enough")


async def test_a_silent_turn_is_cancelled(agent: Agent) -> None:
    turn = await talk(agent, Order(prompt="p", cwd="/", idle_seconds=0.05))
    await answer_until_prompt(agent)
    cancel = await agent.read()
    assert cancel == {"method": "session/cancel", "params": {"sessionId": "s"}}
    assert (await turn).trouble is Trouble.SILENT


@pytest.mark.parametrize(
    ("why", "trouble"), [(ConnectionEnded("gone"), Trouble.ENDED), (TooMuch("much"), Trouble.TOO_MUCH)]
)
async def test_an_end_in_the_middle_is_told(agent: Agent, why: PeerError, trouble: Trouble) -> None:
    turn = await talk(agent)
    await answer_until_prompt(agent)
    agent.peer.end(why)
    assert (await turn).trouble is trouble


@pytest.mark.parametrize("reason", [None, 7, [], {}, ""])
async def test_a_stop_reason_that_lies_is_none(agent: Agent, reason: Any) -> None:
    turn = await talk(agent)
    asked = await answer_until_prompt(agent)
    await agent.write({"id": asked[-1]["id"], "result": {"stopReason": reason}})
    assert await turn == TurnEnd(stop_reason="none")
