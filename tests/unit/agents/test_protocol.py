"""What we say to an agent, and what we understand of it, beside the protocol's published schema (its Python SDK)."""

from __future__ import annotations

import asyncio
import json
from typing import Any, get_args

import acp
import pytest
from acp import schema
from pydantic import BaseModel

from gitward.agents.conversation import Conversation, Order, Started
from gitward.agents.peer import PROTOCOL_VERSION, Peer
from gitward.agents.updates import QUIET, Asked, Dropped, Plan, Said, ToolCall, Update, Usage, update_of

REQUESTS: dict[str, Any] = {
    "initialize": schema.InitializeRequest,
    "session/new": schema.NewSessionRequest,
    "session/set_mode": schema.SetSessionModeRequest,
    "session/set_config_option": schema.SetSessionConfigOptionSelectRequest,
    "session/prompt": schema.PromptRequest,
    "session/cancel": schema.CancelNotification,
}
ANSWERS: dict[str, BaseModel] = {
    "initialize": schema.InitializeResponse(protocol_version=1),
    "session/new": schema.NewSessionResponse(
        session_id="s",
        config_options=[
            schema.SessionConfigOptionSelect(
                id="llm", name="Model", category="model", type="select", current_value="a", options=[]
            )
        ],
    ),
    "session/set_mode": schema.SetSessionModeResponse(),
    "session/set_config_option": schema.SetSessionConfigOptionResponse(config_options=[]),
    "session/prompt": schema.PromptResponse(stop_reason="cancelled"),
}


def as_json(value: BaseModel) -> Any:
    return value.model_dump(mode="json", by_alias=True, exclude_none=True)


async def test_every_request_of_a_turn_is_what_the_schema_says() -> None:
    peer = Peer(_ignore)
    loop = asyncio.get_running_loop()
    order = Order(prompt="Do it.", cwd="/workspace/repo", mode="free", model="m-1", idle_seconds=20)
    conversation = Conversation(peer, order, life=loop.time)
    turn = asyncio.create_task(conversation.talk(_started))
    seen: list[str] = []
    async with asyncio.timeout(10):
        while "session/cancel" not in seen:
            message = json.loads(await anext(peer.outbox))
            seen.append(message["method"])
            kind = REQUESTS[message["method"]]
            sent = kind.model_validate(message["params"])
            assert set(message["params"]) <= {each.alias or name for name, each in kind.model_fields.items()}, sent
            if message["method"] == "session/prompt":
                cancelling = asyncio.create_task(conversation.cancel())
                continue
            if "id" in message:
                await _answer(peer, message["id"], ANSWERS[message["method"]])
        await _answer(peer, message_id(seen), ANSWERS["session/prompt"])
        await cancelling
        assert (await turn).stop_reason == "cancelled"
    assert set(seen) == set(REQUESTS)


def message_id(seen: list[str]) -> int:
    """Of the prompt: requests have the numbers from 1."""
    return seen.index("session/prompt") + 1


async def _answer(peer: Peer, id_: int, answer: BaseModel) -> None:
    await peer.take(json.dumps({"jsonrpc": "2.0", "id": id_, "result": as_json(answer)}).encode() + b"\n")


async def _ignore(_: Update | Asked) -> None:
    pass


async def _started(_: Started) -> None:
    pass


async def test_the_answer_to_a_permission_is_what_the_schema_says() -> None:
    peer = Peer(_ignore)
    peer.session = "s"
    asked = schema.RequestPermissionRequest(
        session_id="s",
        tool_call=schema.ToolCallUpdate(tool_call_id="t", title="rm"),
        options=[schema.PermissionOption(option_id="o", name="Once", kind="allow_once")],
    )
    request = {"jsonrpc": "2.0", "id": 1, "method": "session/request_permission", "params": as_json(asked)}
    await peer.take(json.dumps(request).encode() + b"\n")
    answer = json.loads(await anext(peer.outbox))
    outcome = schema.RequestPermissionResponse.model_validate(answer["result"]).outcome
    assert isinstance(outcome, schema.AllowedOutcome)
    assert outcome.option_id == "o"


UPDATES: list[tuple[Any, Update | None]] = [
    (acp.update_agent_message_text("hi"), Said(thought=False, message="", text="hi")),
    (acp.update_agent_thought_text("hm"), Said(thought=True, message="", text="hm")),
    (
        acp.start_tool_call("t", "Run", kind="execute", status="pending"),
        ToolCall(id="t", title="Run", kind="execute", status="pending"),
    ),
    (acp.update_tool_call("t", status="failed"), ToolCall(id="t", status="failed")),
    (acp.update_plan([]), Plan()),
    (schema.UsageUpdate(session_update="usage_update", used=1, size=2), Usage(used=1, size=2)),
    (acp.update_user_message_text("back"), None),
    (schema.CurrentModeUpdate(session_update="current_mode_update", current_mode_id="m"), None),
]


@pytest.mark.parametrize(("told", "understood"), UPDATES)
def test_updates_as_the_schema_has_them_are_understood(told: BaseModel, understood: Update | None) -> None:
    dropped = Dropped()
    assert update_of(as_json(told), dropped) == understood
    assert dropped.updates == 0


def test_every_kind_of_update_of_the_schema_is_known() -> None:
    """A new one is dropped until somebody decides what to do with it."""
    field = schema.SessionNotification.model_fields["update"].annotation
    kinds = {get_args(each.model_fields["session_update"].annotation)[0] for each in _members(field)}
    ours = {"agent_message_chunk", "agent_thought_chunk", "tool_call", "tool_call_update", "plan", "usage_update"}
    assert kinds == ours | QUIET


def _members(annotation: Any) -> list[Any]:
    members = [each for each in get_args(annotation) if isinstance(each, type)]
    return members or [each for inner in get_args(annotation) for each in _members(inner)]


def test_the_version_is_the_schemas() -> None:
    assert PROTOCOL_VERSION == acp.PROTOCOL_VERSION
