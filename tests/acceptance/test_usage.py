"""What agents use of models is counted outside of them, kept with the run, and limited."""

from __future__ import annotations

import asyncio
import math
import os
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gitward.grants.model_calls import MOST_UNAUTHORIZED
from gitward_standin.language_model import Fault
from gitward_standin.language_model.questions import Api
from machine import slowness
from model_rig import HELPERS, KEY, ModelHouse, model_rig, sent, told
from processes import brokers_of
from rig import RUN_SECONDS, Client, Json, data_of, until

TURN_SECONDS = 120  # a turn that no budget ends has another reason then
KINDS = ("input_tokens", "cached_tokens", "cache_written_tokens", "output_tokens")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared() -> AsyncIterator[ModelHouse]:
    async with model_rig() as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def house(shared: ModelHouse) -> AsyncIterator[ModelHouse]:
    shared.calm()
    yield shared
    await shared.service.calm()


@pytest_asyncio.fixture(loop_scope="session")
async def caller(house: ModelHouse) -> AsyncIterator[Client]:
    async with house.service.client() as made:
        yield made


async def until_asked(house: ModelHouse, times: int) -> None:
    await until(lambda: len(house.model.asked) >= times, f"{times} requests to the model")


async def prompted(
    house: ModelHouse, caller: Client, prompt: str, budget: Json | None = None
) -> tuple[Json, Json, list[Json]]:
    repository = await house.service.repository()
    return await caller.run(
        repository, prompt=HELPERS + prompt, agent="keyed", budget=budget, timeout_seconds=TURN_SECONDS
    )


async def test_usage_is_what_the_model_sent_by_each_of_the_three_apis(house: ModelHouse, caller: Client) -> None:
    prompt = """
for path in (CHAT, RESPONSES, MESSAGES):
    assert model(path) == model(path, stream=False) == model(path, model="other-model") == 200
say("Done.")
"""
    _, run, events = await prompted(house, caller, prompt)
    usage = run["usage"]
    assert run["state"] == "succeeded", run
    assert told(usage) == sent(house.model.asked)
    assert (usage["requests"], usage["unknown_requests"], usage["usd"]) == (9, 0, None)  # other-model has no price
    by_model = {each["model"]: each for each in usage["by_model"]}
    assert {name: each["requests"] for name, each in by_model.items()} == {"m-1": 6, "other-model": 3}
    first = by_model["m-1"]
    cost = first["input_tokens"] * 100 + first["cached_tokens"] * 10 + first["output_tokens"] * 1000
    assert first["usd"] == pytest.approx(cost / 1e6)
    assert data_of(events, "usage.counted")[-1] == usage
    metrics = (await caller.http.get("/metrics")).text
    assert (
        f'gitward_model_tokens_total{{agent="keyed",kind="output",model="m-*"}} {first["output_tokens"]}.0' in metrics
    )
    assert "other-model" not in metrics
    assert 'gitward_model_requests_total{agent="keyed",model="other",outcome="answered"} 3.0' in metrics


async def test_gemini_is_counted_where_the_operator_injects_its_key(house: ModelHouse, caller: Client) -> None:
    prompt = """
for way in ("generateContent", "streamGenerateContent", "streamGenerateContent?alt=sse"):
    assert model(GEMINI + way) == 200
say("Done.")
"""
    _, run, _ = await prompted(house, caller, prompt)
    assert run["state"] == "succeeded", run
    assert told(run["usage"]) == sent(house.model.asked)
    assert (run["usage"]["requests"], run["usage"]["unknown_requests"]) == (3, 0)
    assert [each["model"] for each in run["usage"]["by_model"]] == ["m-g"]
    assert {each.key for each in house.model.asked} == {KEY}


async def test_a_budget_refuses_gemini_in_its_own_format(house: ModelHouse, caller: Client) -> None:
    prompt = """
statuses = [model(GEMINI + "generateContent") for _ in range(3)]
say(json.dumps([statuses, refusal["error"]["status"]]))
until_cancelled()
"""
    _, run, events = await prompted(house, caller, prompt, budget={"requests": 2})
    assert run["reason"] == "budget_exhausted", run
    assert data_of(events, "agent.ended")[0]["text"] == '[[200, 200, 403], "PERMISSION_DENIED"]'


async def test_what_is_not_told_is_unknown(house: ModelHouse, caller: Client) -> None:
    """A chat stream without usage, a stream that breaks off, an answer that the agent does not wait for; a refusal
    costs nothing."""
    house.model.fail(Fault.CUT, times=1)
    prompt = """
try: model(MESSAGES)
except Exception: pass
import http.client
body = json.dumps({"model": "m-1", "stream": True, "messages": [{"role": "user", "content": "Hello"}]})
link = http.client.HTTPSConnection("api.openai.com")
link.request("POST", CHAT, body, {"Content-Type": "application/json"})
assert link.getresponse().read()
say("Done.")
"""
    _, run, _ = await prompted(house, caller, prompt)
    usage = run["usage"]
    assert (usage["requests"], usage["unknown_requests"]) == (2, 2), usage
    assert usage["input_tokens"] > 0  # of the stream that broke off: its input was told
    assert usage["output_tokens"] < 100


async def test_a_cancel_keeps_what_was_counted(house: ModelHouse, caller: Client) -> None:
    prompt = "assert model() == model(MESSAGES) == 200\nmodel(RESPONSES)"
    house.model.fail(Fault.HANG, times=1, after=2)
    repository = await house.service.repository()
    session = await caller.session(repository, prompt=HELPERS + prompt, agent="keyed")
    await until_asked(house, 3)
    await caller.post(f"/sessions/{session['id']}/cancel", status=200)
    run, events = await caller.finished(session)
    assert run["state"] == "cancelled", run
    assert told(run["usage"]) == sent(house.model.asked)
    assert (run["usage"]["requests"], run["usage"]["unknown_requests"]) == (3, 1)
    assert data_of(events, "usage.counted")[-1] == run["usage"]


async def test_a_broker_s_replacement_loses_and_doubles_nothing(house: ModelHouse, caller: Client) -> None:
    """What was under way at the old one is one request of which nothing is known."""
    prompt = """
assert model() == model(MESSAGES) == 200
while True:
    try:
        assert model(RESPONSES) == 200
        break
    except OSError: time.sleep(0.1)
assert model() == 403
until_cancelled()
"""
    house.model.fail(Fault.HANG, times=1, after=2)
    repository = await house.service.repository()
    session = await caller.session(
        repository, prompt=HELPERS + prompt, agent="keyed", budget={"requests": 4}, timeout_seconds=TURN_SECONDS
    )
    await until_asked(house, 3)
    assert house.service.process is not None
    [broker] = brokers_of(house.service.process.pid)
    os.kill(broker, signal.SIGKILL)
    run, _ = await caller.finished(session)
    assert run["reason"] == "budget_exhausted", run  # the new one knows what the old one has let pass
    assert told(run["usage"]) == sent(house.model.asked)
    assert (run["usage"]["requests"], run["usage"]["unknown_requests"]) == (4, 1)


async def test_a_takeover_goes_on_from_what_was_counted() -> None:
    prompt = """
first = "/workspace/cache/first"
if not os.path.exists(first):
    os.makedirs("/workspace/cache", exist_ok=True)
    open(first, "w").close()
    assert model() == model(MESSAGES) == 200
    say("ready ")
    time.sleep(1000)
assert model(RESPONSES) == 200
say("Done.")
"""
    async with model_rig(warm=True) as house, house.service.client() as caller:
        repository = await house.service.repository()
        session = await caller.session(repository, prompt=HELPERS + prompt, agent="keyed")
        async with asyncio.timeout(RUN_SECONDS):
            async for event in caller.stream(session):
                if event["type"] == "agent.message":
                    break
            while (await usage_of(caller, session))["unknown_requests"]:
                await asyncio.sleep(0.02)
        await house.service.stop(signal.SIGKILL)
        await house.service.start()
        async with house.service.client() as again:
            run, events = await again.finished(session)
        assert (run["state"], run["attempt"]) == ("succeeded", 2), run
        assert told(run["usage"]) == sent(house.model.asked)
        assert (run["usage"]["requests"], run["usage"]["unknown_requests"]) == (3, 0)
        assert data_of(events, "usage.counted")[-1] == run["usage"]


async def usage_of(caller: Client, session: Json) -> Json:
    answer = await caller.http.get(f"/sessions/{session['id']}")
    usage: Json | None = answer.json()["runs"][-1]["usage"]
    return usage or {"unknown_requests": 1}


BUDGETS = [
    ({"requests": 2}, "This run's budget of 2 model requests is used up."),
    ({"tokens": 150}, "This run's budget of 150 tokens is used up"),
    ({"usd": 0.04}, "This run's budget of 0.04 US dollars is used up"),
    ({"usd": 0.04, "requests": 9}, "This run's budget of 0.04 US dollars is used up"),
]


@pytest.mark.parametrize("path", ["CHAT", "MESSAGES"])
@pytest.mark.parametrize("limit", BUDGETS)
async def test_no_request_begins_after_the_limit(
    house: ModelHouse, caller: Client, limit: tuple[Json, str], path: str
) -> None:
    budget, sentence = limit
    prompt = f"""
edit("kept.txt", "precious")
for _ in range(100):
    if (status := model({path})) != 200:
        break
say(f"{{status}}: " + refusal["error"]["message"])
until_cancelled()
say("I was asked to stop.")
stop = "cancelled"
"""
    session, run, events = await prompted(house, caller, prompt, budget=budget)
    assert (run["state"], run["reason"]) == ("failed", "budget_exhausted"), run
    assert sentence in run["message"]
    assert run["usage"]["requests"] == len(house.model.asked) == 2
    said = "".join(each["text"] for each in data_of(events, "agent.message"))
    assert f"403: Gitward: {sentence}" in said
    assert "I was asked to stop." in said
    assert data_of(events, "work.kept")
    assert "+precious" in (await caller.http.get(f"/sessions/{session['id']}/diff?run_id={run['id']}")).text
    assert run["instruction"]["budget"] == {"requests": None, "tokens": None, "usd": None, "seconds": None, **budget}


async def test_requests_that_come_together_do_not_pass_the_limit(house: ModelHouse, caller: Client) -> None:
    prompt = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(20) as pool:
    statuses = list(pool.map(lambda _: model(), range(40)))
until_cancelled()
"""
    house.model.delay = 0.05
    _, run, _ = await prompted(house, caller, prompt, budget={"requests": 5})
    assert run["reason"] == "budget_exhausted", run
    assert run["usage"]["requests"] == len(house.model.asked) == 5


@pytest.mark.parametrize(("limit", "most"), [({"tokens": 1500}, 1650), ({"usd": 0.35}, 0.39)])
async def test_requests_that_come_together_pass_a_limit_by_one_of_them_at_most(
    house: ModelHouse, caller: Client, limit: Json, most: float
) -> None:
    """Each uses about 140 tokens, or 0.034 dollars."""
    prompt = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(20) as pool:
    statuses = list(pool.map(lambda _: model(), range(40)))
until_cancelled()
"""
    house.model.delay = 0.05
    _, run, _ = await prompted(house, caller, prompt, budget=limit)
    assert run["reason"] == "budget_exhausted", run
    usage = run["usage"]
    used = usage["usd"] if "usd" in limit else sum(usage[each] for each in KINDS)
    assert max(limit.values()) <= used < most, usage


# For a prompt: a process that leaves the agent's group and session, and asks the model again and again.
LEFT_BEHIND = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for fd in (0, 1, 2):
            os.close(fd)
        for number in range(10**6):
            if number == 3:
                open("/workspace/three", "w").close()
            try: model()
            except BaseException: pass
    os._exit(0)
assert model() == 200
while not os.path.exists("/workspace/three"): time.sleep(0.02)
"""


async def no_more_requests(house: ModelHouse) -> None:
    """For as long as many of them would take."""
    asked = len(house.model.asked)
    await asyncio.sleep(1)
    assert len(house.model.asked) == asked


@pytest.mark.parametrize("end", ["say('I am idle.')", "until_cancelled(); stop = 'cancelled'"])
async def test_who_goes_on_in_the_background_is_limited_and_ends_with_the_run(
    house: ModelHouse, caller: Client, end: str
) -> None:
    """An agent that says it is done, or that is stopped, may leave somebody who goes on to ask. It does not come back
    with the next prompt."""
    repository = await house.service.repository()
    session = await caller.session(repository, prompt=HELPERS + LEFT_BEHIND + end, agent="keyed")
    await until_asked(house, 4)
    if "stop" in end:
        await caller.post(f"/sessions/{session['id']}/cancel", status=200)
    run, _ = await caller.finished(session)
    assert run["state"] == ("cancelled" if "stop" in end else "succeeded"), run
    await no_more_requests(house)
    assert told(run["usage"])["requests"] == len(house.model.asked)
    body = {"prompt": f"{HELPERS}\nassert model() == 200\nsay('Done.')", "agent": "keyed"}
    more = await caller.post(f"/sessions/{session['id']}/runs", body)
    run, _ = await caller.finished(session, more["id"])
    assert (run["state"], run["usage"]["requests"]) == ("succeeded", 1), run
    await no_more_requests(house)


async def test_a_budget_holds_for_who_goes_on_in_the_background(house: ModelHouse, caller: Client) -> None:
    _, run, _ = await prompted(house, caller, LEFT_BEHIND + "until_cancelled()", budget={"requests": 6})
    assert run["reason"] == "budget_exhausted", run
    assert run["usage"]["requests"] == len(house.model.asked) == 6
    await no_more_requests(house)


async def test_who_hangs_up_before_the_numbers_come_gets_no_more_than_ten(house: ModelHouse, caller: Client) -> None:
    """Words, and none of the count: of each answer it reads the beginning, before the end was sent."""
    prompt = "for _ in range(40):\n    model(CHAT, read=100)\nuntil_cancelled()"
    house.model.fail(Fault.STALL)
    _, run, _ = await prompted(house, caller, prompt, budget={"tokens": 10**6})
    assert run["reason"] == "budget_exhausted", run
    assert "cannot be kept: of 10 model requests the tokens are unknown" in run["message"]
    assert len(house.model.asked) == 10


async def test_a_follow_up_goes_on_with_a_new_budget(house: ModelHouse, caller: Client) -> None:
    session, run, _ = await prompted(house, caller, "model()\nmodel()\nuntil_cancelled()", budget={"requests": 1})
    assert run["reason"] == "budget_exhausted", run
    body = {"prompt": f"{HELPERS}\nassert model() == 200\nsay('Done.')", "agent": "keyed", "budget": {"requests": 1}}
    more = await caller.post(f"/sessions/{session['id']}/runs", body)
    run, _ = await caller.finished(session, more["id"])
    assert (run["state"], run["usage"]["requests"]) == ("succeeded", 1), run


async def test_the_seconds_of_a_budget_end_the_turn(house: ModelHouse, caller: Client) -> None:
    prompt = "edit('kept.txt', 'precious')\nuntil_cancelled()\nsay('I was asked to stop.')\nstop = 'cancelled'"
    seconds = math.ceil(3 * slowness())  # the agent's start is among them
    _, run, events = await prompted(house, caller, prompt, budget={"seconds": seconds})
    assert run["reason"] == "budget_exhausted", run
    assert run["message"] == f"This run's budget of {seconds} seconds is used up."
    assert data_of(events, "work.kept")
    assert "I was asked to stop." in "".join(each["text"] for each in data_of(events, "agent.message"))


async def test_a_model_without_a_price_cannot_be_limited_in_dollars(house: ModelHouse, caller: Client) -> None:
    prompt = "model(model='unheard-of')\nmodel(model='unheard-of')\nuntil_cancelled()"
    _, run, _ = await prompted(house, caller, prompt, budget={"usd": 5})
    assert run["reason"] == "budget_exhausted", run
    assert "the model unheard-of has no price in GITWARD_PRICES" in run["message"]
    assert len(house.model.asked) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"budget": {"usd": 1}, "model": "unheard-of", "agent": "small"}, "budget.usd"),
        ({"budget": {"requests": 0}}, "budget.requests"),
        ({"budget": {"coins": 3}}, "budget.coins"),
        ({"budget": {"requests": 3}, "prompt": None, "command": "true"}, "budget"),
    ],
)
async def test_budgets_that_cannot_be_kept_are_refused(
    house: ModelHouse, caller: Client, body: Json, field: str
) -> None:
    whole = {"repo": "acme/x", "prompt": "Tidy up.", "agent": "keyed", **body}
    if whole["prompt"] is None:
        whole.pop("agent")
    problem = await caller.post("/sessions", whole, status=422)
    assert [each["field"].removeprefix("body.") for each in problem["errors"]] == [field], problem


async def test_a_user_s_day_has_a_budget_for_all_of_their_runs() -> None:
    async with model_rig(warm=True, GITWARD_DAILY_BUDGET="requests=3") as house:
        async with house.service.client() as caller:
            two = "assert model() == model() == 200\nsay('Done.')"
            _, run, _ = await prompted(house, caller, two)
            assert run["state"] == "succeeded", run
            _, run, _ = await prompted(house, caller, "model()\nmodel()\nuntil_cancelled()")
            assert run["reason"] == "budget_exhausted", run
            assert "Your budget for one day on this server of 3 model requests is used up." in run["message"]
        async with house.service.client("bob") as other:
            _, run, _ = await prompted(house, other, two)
            assert run["state"] == "succeeded", run
        assert len(house.model.asked) == 5


async def test_runs_that_ask_at_the_same_time_do_not_pass_the_day_s_limit_of_requests() -> None:
    """Exactly: each request is reserved before it begins. What an ended run did not use is free again."""
    prompt = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as pool:
    statuses = list(pool.map(lambda _: model(), range(20)))
until_cancelled()
"""
    async with model_rig(warm=True, GITWARD_DAILY_BUDGET="requests=12") as house, house.service.client() as caller:
        _, run, _ = await prompted(house, caller, "assert model() == 200\nsay('Done.')")
        assert run["state"] == "succeeded", run
        together = await asyncio.gather(*(prompted(house, caller, prompt) for _ in range(3)))
        assert {run["reason"] for _, run, _ in together} == {"budget_exhausted"}, [run for _, run, _ in together]
        assert sum(run["usage"]["requests"] for _, run, _ in together) == 11
        assert len(house.model.asked) == 12


async def test_a_model_that_fails_for_good_ends_the_turn(house: ModelHouse, caller: Client) -> None:
    """Whatever the agent does about it; its work is kept."""
    house.model.fail(Fault.UNAUTHORIZED)
    prompt = """
edit("kept.txt", "precious")
while model(MESSAGES) == 401:
    pass
say(refusal["error"]["type"])
until_cancelled()
"""
    _, run, events = await prompted(house, caller, prompt)
    assert run["reason"] == "model_failed", run
    assert "answered 401: The stand-in does not know this key." in run["message"]
    assert len(house.model.asked) == MOST_UNAUTHORIZED
    assert data_of(events, "work.kept")
    assert data_of(events, "agent.ended")[0]["text"] in {"", "permission_error"}


async def test_a_model_that_fails_beside_one_that_answers_ends_nothing(house: ModelHouse, caller: Client) -> None:
    house.model.fail(Fault.UNAUTHORIZED, api=Api.MESSAGES)
    prompt = """
while model(MESSAGES) == 401:
    model()
assert model() == 200
say(refusal["error"]["message"])
"""
    _, run, _ = await prompted(house, caller, prompt)
    assert run["state"] == "succeeded", run
    assert "no more requests to it are passed on" in run["message"]


async def test_an_agent_that_hammers_a_failing_model_is_slowed_down(house: ModelHouse, caller: Client) -> None:
    house.model.fail(Fault.BROKEN)
    prompt = """
for _ in range(8):
    model()
began = time.monotonic()
for _ in range(3):
    model()
say(f"{time.monotonic() - began}")
"""
    _, run, events = await prompted(house, caller, prompt)
    assert run["reason"] == "model_failed", run
    assert len(house.model.asked) == 11
    assert float("".join(each["text"] for each in data_of(events, "agent.message"))) > 0.25 + 0.5 + 1
    assert [each["times"] for each in data_of(events, "model.failing")] == [5, 10]
