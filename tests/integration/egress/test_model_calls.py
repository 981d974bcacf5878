"""What the broker tells of calls of models, for every way in which a provider answers or fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from gitward.broker import InjectConfig
from gitward.grants import clock
from gitward.grants.model_calls import EVENT, ModelCall, Outcome
from gitward.sandboxes.engine import BubblewrapEngine
from gitward.secrets import Secret
from gitward_standin.language_model import Fault, StandInModel, endless
from gitward_standin.language_model.faults import SENTENCES
from gitward_standin.language_model.scripts import SIDE_ANSWER, Say

from .world import Inside, config, sandboxed

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOST, KEY = "api.openai.com", "sk-CANARY0123456789abcdef"
BODIES: dict[str, dict[str, object]] = {
    "/v1/messages": {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 9},
    "/v1/responses": {"input": "Hello"},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hello"}]},
}


@dataclass(kw_only=True)
class World:
    inside: Inside
    model: StandInModel

    async def ask(
        self, path: str, *, stream: bool, seconds: float = 20, tools: Sequence[object] = ()
    ) -> tuple[str, list[ModelCall]]:
        """What curl said, and what the broker told of it."""
        before = len(self.inside.told.events)
        body = json.dumps({"model": "some-model", "stream": stream, **BODIES[path], "tools": list(tools)})
        url = f"https://{HOST}{path}"
        argv = ("curl", "-sS", "--max-time", str(seconds), "-H", "Content-Type: application/json", "-d", body, url)
        said = await self.inside.run(*argv)
        return said.out, await self._ended(before)

    async def _ended(self, before: int) -> list[ModelCall]:
        told = self.inside.told
        async with asyncio.timeout(20):
            while True:
                calls = [ModelCall.of(event.data) for event in told.events[before:] if event.type == EVENT]
                if calls and calls[-1].outcome is not None:
                    return calls
                told.more.clear()
                await told.more.wait()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(folder: Path) -> AsyncIterator[StandInModel]:
    model = StandInModel(folder=folder, script=endless, key=KEY, names=(HOST,))
    await model.start()
    yield model
    await model.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def world(shared: World) -> World:
    """After an answer: the failures of earlier tests slow nothing down."""
    _, calls = await shared.ask("/v1/messages", stream=False)
    assert calls[-1].outcome is Outcome.ANSWERED
    return shared


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(folder: Path, engine: BubblewrapEngine, provider: StandInModel) -> AsyncIterator[World]:
    target = InjectConfig(
        host=HOST,
        port=443,
        header="authorization",
        prefix="Bearer ",
        upstream=f"https://127.0.0.1:{provider.port}",
        absent=("/api/settings",),
    )
    settings = config("", ca_file=provider.ca_file, names={}, inject=[target])
    async with sandboxed(engine, folder, settings, clock.seconds() + 600, injected=[Secret(KEY)]) as inside:
        yield World(inside=inside, model=provider)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", BODIES)
async def test_a_whole_answer_is_told_with_its_model(world: World, path: str, stream: bool) -> None:
    said, calls = await world.ask(path, stream=stream)
    assert SIDE_ANSWER in said
    begun, ended = calls
    assert begun.outcome is None
    assert (ended.id, ended.host, ended.model, ended.status) == (begun.id, HOST, "some-model", 200)
    assert (ended.outcome, ended.is_side, ended.is_final) == (Outcome.ANSWERED, True, False)


async def test_an_answer_to_a_request_with_tools_may_be_the_model_s_last_word(world: World) -> None:
    tools = [{"name": "bash", "description": "", "input_schema": {"type": "object"}}]
    world.model.script = lambda _: Say(text="Done.")
    _, calls = await world.ask("/v1/messages", stream=True, tools=tools)
    assert (calls[-1].outcome, calls[-1].is_side, calls[-1].is_final) == (Outcome.ANSWERED, False, True)
    world.model.script = endless
    _, calls = await world.ask("/v1/messages", stream=True, tools=tools)
    assert (calls[-1].outcome, calls[-1].is_side, calls[-1].is_final) == (Outcome.ANSWERED, False, False)


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("fault", [Fault.UNAUTHORIZED, Fault.TOO_MANY, Fault.BROKEN, Fault.LATE_ERROR])
async def test_a_provider_s_refusal_is_told_in_its_words(world: World, path: str, fault: Fault) -> None:
    world.model.fail(fault, times=1)
    _, calls = await world.ask(path, stream=True)
    assert calls[-1].outcome is Outcome.REFUSED
    assert (calls[-1].status, calls[-1].error) == (fault.status, SENTENCES[fault])


@pytest.mark.parametrize("path", BODIES)
async def test_a_stream_that_the_provider_breaks_is_cut(world: World, path: str) -> None:
    world.model.fail(Fault.CUT, times=1)
    _, calls = await world.ask(path, stream=True)
    assert calls[-1].outcome is Outcome.CUT


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.STALL])
async def test_an_agent_that_hangs_up_has_abandoned_it(world: World, fault: Fault) -> None:
    world.model.fail(fault, times=1)
    _, calls = await world.ask("/v1/messages", stream=True, seconds=5)
    assert calls[-1].outcome is Outcome.ABANDONED


async def test_what_a_provider_repeats_of_the_key_is_masked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SENTENCES, Fault.BROKEN, f"Your key {KEY} is broken.")
    world.model.fail(Fault.BROKEN, times=1)
    said, calls = await world.ask("/v1/messages", stream=False)
    assert KEY not in said
    assert calls[-1].error == f"Your key {'*' * len(KEY)} is broken."


async def test_what_agents_ask_without_need_is_answered_here(world: World) -> None:
    before, asked = len(world.inside.told.events), len(world.model.asked)
    said = await world.inside.run("curl", "-sS", "-w", "%{http_code}", f"https://{HOST}/api/settings")
    assert said.out == "{}404"
    assert len(world.model.asked) == asked
    assert len(world.inside.told.events) == before


async def test_a_provider_that_cannot_be_reached_is_told(
    folder: Path, engine: BubblewrapEngine, provider: StandInModel
) -> None:
    target = InjectConfig(host=HOST, port=443, header="x", upstream="https://127.0.0.1:9")
    settings = config("", ca_file=provider.ca_file, names={}, inject=[target])
    async with sandboxed(engine, folder, settings, clock.seconds() + 60, injected=[Secret(KEY)]) as inside:
        _, calls = await World(inside=inside, model=provider).ask("/v1/messages", stream=True)
        assert calls[-1].outcome is Outcome.UNREACHABLE
        assert "api.openai.com could not be reached" in calls[-1].error
