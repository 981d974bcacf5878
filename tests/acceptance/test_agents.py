"""A prompt becomes a pull request, over HTTP: a small agent speaks the Agent Client Protocol in the sandbox."""

from __future__ import annotations

import asyncio
import math
import re
import signal
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from agent_rig import agent_rig
from machine import slowness
from processes import processes_of
from rig import RUN_SECONDS, Client, Json, Rig, data_of

IDLE_SECONDS = 5
MODEL_KEY = "sk-CANARY-of-a-model-0123456789"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house() -> AsyncIterator[Rig]:
    async with agent_rig(warm=True, GITWARD_AGENT_IDLE_SECONDS=str(IDLE_SECONDS), OPENAI_API_KEY=MODEL_KEY) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def caller(house: Rig) -> AsyncIterator[Client]:
    async with house.client() as made:
        yield made


async def until(client: Client, session: Json, kind: str, **data: str) -> None:
    """Waits for an event of this type, with this data."""
    async with asyncio.timeout(RUN_SECONDS):
        async for event in client.stream(session):
            if event["type"] == kind and data.items() <= event["data"].items():
                return
    raise AssertionError(f"the run ended without {kind} {data}")


async def test_a_prompt_becomes_a_draft_pull_request(house: Rig, caller: Client) -> None:
    repository = await house.repository()
    prompt = """# Say hello, @octocat (fixes #7)
say("I will ")
say("say hello.")
edit("hello.txt", "hello\\n")
say("Said hello, @octocat. Fixes #1 <!-- and hides\\n```")
"""
    session, run, events = await caller.run(repository, prompt=prompt, model="m-1", target_branch="main")
    assert (run["state"], run["reason"], run["changed"], run["exit_code"]) == ("succeeded", None, True, None), run
    assert run["agent"] == {"name": "small", "model": "m-1"}
    assert run["instruction"]["prompt"] == prompt
    [started] = data_of(events, "agent.started")
    assert started == {
        **{"agent": "small", "version": "1.0", "model": "m-1", "mode": "everything"},
        **{"conversation": "conversation-1", "resumed": False},
    }
    messages: dict[str, str] = {}
    for each in data_of(events, "agent.message"):
        messages[each["message"]] = messages.get(each["message"], "") + each["text"]
    assert list(messages.values()) == ["I will say hello.", "Said hello, @octocat. Fixes #1 <!-- and hides\n```"]
    tool = data_of(events, "agent.tool")[-1]
    assert (tool["id"], tool["kind"], tool["status"], tool["paths"]) == (
        *("edit-hello.txt", "edit", "completed"),
        ["hello.txt"],
    )
    assert tool["diff"] == [{"path": "hello.txt", "old": "", "new": "hello\n"}]
    [ended] = data_of(events, "agent.ended")
    assert (ended["stop_reason"], ended["tools"], ended["failed_tools"], ended["dropped"]) == ("end_turn", 1, 0, 0)

    [pull] = repository.pulls
    assert (pull.head, pull.base, pull.draft) == (session["branch"], "main", True)
    assert pull.title == "# Say hello, @\u200boctocat (fixes #\u200b7)"
    body = pull.body or ""
    assert body.startswith("> Said hello, @\u200boctocat. Fixes #\u200b1 <\u200b!-- and hides\n> ```\n\n")
    assert f"`small`, model `m-1`, on `main`:\n\n````text\n{prompt}" in body
    assert body.rstrip().endswith(f"{house.url}/sessions/{session['id']}")
    patch = (await caller.http.get(f"/sessions/{session['id']}/patch")).text
    for trailer in (f"Gitward-Session: {session['id']}", "Gitward-Agent: small", "Gitward-Model: m-1"):
        assert trailer in patch
    assert "+hello" in patch


async def test_commits_of_the_agent_keep_their_messages(house: Rig, caller: Client) -> None:
    repository = await house.repository()
    prompt = """
edit("a.txt", "a")
run("git", "add", "a.txt")
run("git", "commit", "-qm", "Add a, as agents do")
edit("b.txt", "b")
say("Done.")
"""
    session, run, _ = await caller.run(repository, prompt=prompt)
    assert run["state"] == "succeeded", run
    patch = (await caller.http.get(f"/sessions/{session['id']}/patch")).text
    first, second = re.split(r"^From [0-9a-f]{40} ", patch, flags=re.MULTILINE)[1:]
    assert "Subject: [PATCH 1/2] Add a, as agents do" in first
    assert "Gitward-" not in first
    assert "Gitward-Agent: small" in second
    assert "Gitward-Model" not in second  # none was named


async def test_a_turn_without_a_change_succeeds_with_the_last_message(house: Rig, caller: Client) -> None:
    repository = await house.repository()
    _, run, _ = await caller.run(repository, prompt='say("Let me see."); run("ls"); say("All is well.")')
    assert (run["state"], run["changed"], run["message"]) == ("succeeded", False, "All is well."), run
    assert repository.pulls == []


async def test_when_every_tool_call_failed_a_notice_says_so(house: Rig, caller: Client) -> None:
    repository = await house.repository()
    _, run, events = await caller.run(repository, prompt='run("false"); run("false"); say("Done")')
    assert run["state"] == "succeeded", run
    assert {"message": "Each of the agent's 2 tool calls failed."} in data_of(events, "notice")


async def test_a_follow_up_may_be_a_prompt_or_a_command(house: Rig, caller: Client) -> None:
    repository = await house.repository()
    session, run, _ = await caller.run(repository, command="echo 1 > one.txt")
    assert run["agent"] is None
    more = await caller.post(f"/sessions/{session['id']}/runs", {"prompt": 'edit("two.txt", open("one.txt").read())'})
    run, _ = await caller.finished(session, more["id"])
    assert (run["state"], run["changed"]) == ("succeeded", True), run
    again = await caller.post(f"/sessions/{session['id']}/runs/{run['id']}/retry")
    assert again["agent"] == {"name": "small", "model": None}
    run, _ = await caller.finished(session, again["id"])
    assert (run["state"], run["changed"]) == ("succeeded", False), run


async def test_kept_work_of_an_agent_is_published_with_its_message(house: Rig, caller: Client) -> None:
    repository = await house.repository()
    prompt = 'edit("kept.txt", "kept"); say("It is kept.")'
    session, run, _ = await caller.run(repository, prompt=prompt, publish={"mode": "dry_run"})
    assert run["state"] == "succeeded", run
    more = await caller.post(f"/sessions/{session['id']}/runs/{run['id']}/publish")
    run, _ = await caller.finished(session, more["id"])
    assert run["state"] == "succeeded", run
    [pull] = repository.pulls
    assert (pull.body or "").startswith("> It is kept.\n")
    assert "Gitward asked the agent `small`" in (pull.body or "")


async def test_permissions_are_given_once_and_told(house: Rig, caller: Client) -> None:
    repository = await house.repository()
    prompt = """
options = [
    {"optionId": "always", "kind": "allow_always", "name": "Always"},
    {"optionId": "once", "kind": "allow_once", "name": "Once"},
    {"optionId": "no", "kind": "reject_once", "name": "No"},
]
call = {"toolCallId": "t", "title": "Delete everything"}
say(json.dumps(ask("session/request_permission", toolCall=call, options=options)["result"]))
"""
    _, run, events = await caller.run(repository, prompt=prompt)
    assert run["message"] == '{"outcome": {"outcome": "selected", "optionId": "once"}}', run
    assert data_of(events, "agent.asked") == [{"what": "Delete everything", "answer": "allow_once"}]


async def test_files_and_terminals_of_the_worker_are_not_there(house: Rig, caller: Client) -> None:
    """An agent that asks all the same gets an error, and nothing of the worker's machine."""
    repository = await house.repository()
    prompt = """
methods = ["fs/read_text_file", "fs/write_text_file", "terminal/create", "terminal/output", "elicitation/create", "x"]
say(json.dumps([ask(each, path="/etc/passwd", command="id")["error"]["code"] for each in methods]))
"""
    _, run, _ = await caller.run(repository, prompt=prompt)
    assert run["message"] == f"{[-32601] * 6}", run


@pytest.mark.parametrize(
    ("agent", "reason", "said"),
    [
        ("absent", "agent_unavailable", "The agent's program could not be started: exit code 127"),
        ("broken", "agent_unavailable", "The agent did not become ready: exit code 1, no such module: left-pad."),
        ("signed-out", "agent_unavailable", "not signed in at its provider"),
    ],
)
async def test_an_agent_that_does_not_start_is_unavailable(
    house: Rig, caller: Client, agent: str, reason: str, said: str
) -> None:
    _, run, _ = await caller.run(await house.repository(), prompt="say('x')", agent=agent)
    assert (run["state"], run["reason"]) == ("failed", reason), run
    assert said in run["message"]


async def test_a_start_that_hangs_ends_with_its_own_limit() -> None:
    async with agent_rig(warm=True, GITWARD_AGENT_START_SECONDS="2") as service, service.client() as client:
        body: Json = {"prompt": "say('x')", "agent": "hanging", "timeout_seconds": 60}
        _, run, _ = await client.run(await service.repository(), **body)
        assert (run["state"], run["reason"]) == ("failed", "agent_unavailable"), run
        assert run["message"] == "The agent did not become ready: 2 s were not enough."


@pytest.mark.parametrize(
    ("stop", "reason", "said"),
    [
        ("stop = 'refusal'", "task_failed", "The agent refused to go on."),
        ("stop = 'max_tokens'", "task_failed", "The agent stopped: the model's answer reached its limit of tokens."),
        ("stop = 'max_turn_requests'", "task_failed", "it reached its limit of model requests for one turn."),
        ("stop = 'nonsense'", "agent_failed", "for an unknown reason: 'nonsense'."),
        ("stop = ['end_turn']", "agent_failed", "for an unknown reason: 'none'."),
        ("os._exit(3)", "agent_failed", "The agent's program ended in the middle of its turn: exit code 3."),
        (
            "stop = None; send({'id': id, 'error': {'code': -32603, 'message': 'Internal error', "
            "'data': {'details': 'the model is gone'}}})",
            "agent_failed",
            "The agent ended its turn with an error: Internal error: the model is gone.",
        ),
        (
            "import time; time.sleep(1000)",
            "agent_failed",
            f"neither it nor its model showed activity: {IDLE_SECONDS} s passed.",
        ),
    ],
)
async def test_how_a_turn_ended_is_told_and_its_work_is_kept(
    house: Rig, caller: Client, stop: str, reason: str, said: str
) -> None:
    repository = await house.repository()
    session, run, events = await caller.run(repository, prompt=f"edit('kept.txt', 'precious')\n{stop}")
    assert (run["state"], run["reason"]) == ("failed", reason), run
    assert said in run["message"]
    assert data_of(events, "work.kept")
    assert "+precious" in (await caller.http.get(f"/sessions/{session['id']}/diff?run_id={run['id']}")).text
    assert repository.pulls == []


async def test_an_agent_whose_model_was_never_asked_has_done_nothing(house: Rig, caller: Client) -> None:
    """It says `end_turn`, and there is a change: no model answered, so it is nobody's work."""
    repository = await house.repository()
    _, run, events = await caller.run(repository, prompt="edit('a.txt', 'a'); say('All done!')", agent="keyed")
    assert (run["state"], run["reason"]) == ("failed", "model_failed"), run
    assert run["message"] == "The model was never asked, so the agent cannot have done anything."
    assert data_of(events, "work.kept")
    assert repository.pulls == []


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ({"agent": "nobody"}, "agent", "must be one of absent, broken, claude, codex, gone"),
        ({"agent": "keyless"}, "agent", "keyless has no key: set ANTHROPIC_API_KEY and start Gitward again."),
        ({"agent": "gone"}, "agent", "the path in GITWARD_AGENTS_FILE."),
        ({"agent": "codex"}, "agent", "Codex is not installed; run: gitward agents install codex"),
        ({"agent": "broken", "model": "m"}, "model", "must be omitted: broken offers no choice"),
        ({"model": "no model"}, "model", "must be a model's name"),
        ({"command": "true"}, "prompt", "cannot be combined with a command; send one of the two"),
        ({"prompt": None, "agent": "small"}, "agent", "needs a prompt beside it"),
        ({"prompt": None, "model": "m"}, "model", "needs a prompt beside it"),
    ],
)
async def test_a_prompt_without_a_usable_agent_is_refused_with_what_to_do(
    house: Rig, caller: Client, body: Json, field: str, said: str
) -> None:
    repository = await house.repository()
    whole = {"repo": repository.full_name, "prompt": "Tidy up.", **body}
    problem = await caller.post("/sessions", whole, status=422)
    [error] = [each for each in problem["errors"] if each["field"].endswith(field)]
    assert said in error["message"]
    schedule = await caller.post("/schedules", {**whole, "schedule": "0 6 * * MON"}, status=422)
    assert schedule["errors"] == problem["errors"]


async def test_cancel_asks_the_agent_and_ends_every_process(house: Rig, caller: Client) -> None:
    repository = await house.repository()
    prompt = """
subprocess.Popen(["sleep", "1000"], start_new_session=True)
edit("kept.txt", "precious")
update("tool_call", toolCallId="open", title="Sleep", kind="execute", status="in_progress")
say("ready ")
until_cancelled()
say("I was asked to stop.")
stop = "cancelled"
"""
    session = await caller.session(repository, prompt=prompt)
    await until(caller, session, "agent.tool", id="open")
    began = time.monotonic()
    await caller.post(f"/sessions/{session['id']}/cancel", status=200)
    async with asyncio.timeout(RUN_SECONDS):
        while processes_of(house.root, but="making"):
            await asyncio.sleep(0.02)
    seconds = time.monotonic() - began
    run, events = await caller.finished(session)
    assert run["state"] == "cancelled", run
    assert seconds < 2 * slowness()
    assert "I was asked to stop." in "".join(each["text"] for each in data_of(events, "agent.message"))
    assert data_of(events, "agent.tool")[-1]["status"] == "cancelled"
    assert data_of(events, "work.kept")


async def test_an_agent_that_ignores_a_cancel_is_ended_with_its_children(house: Rig, caller: Client) -> None:
    repository = await house.repository()
    prompt = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(5):
    if os.fork() == 0:
        os.setsid()
        time.sleep(1000)
        os._exit(0)
say("ready ")
time.sleep(1000)
"""
    session = await caller.session(repository, prompt=prompt)
    await until(caller, session, "agent.message")
    began = time.monotonic()
    await caller.post(f"/sessions/{session['id']}/cancel", status=200)
    async with asyncio.timeout(RUN_SECONDS):
        while processes_of(house.root, but="making"):
            await asyncio.sleep(0.02)
    assert time.monotonic() - began < 2 * slowness()
    run, _ = await caller.finished(session)
    assert run["state"] == "cancelled", run


async def test_the_time_limit_asks_the_agent_first(house: Rig, caller: Client) -> None:
    prompt = """
import threading
over = threading.Event()
def give_signs_of_life():
    while not over.wait(1):
        say(".")
working = threading.Thread(target=give_signs_of_life)
working.start()
until_cancelled()
over.set()
working.join()
say("I was asked to stop.")
stop = "cancelled"
"""
    seconds = math.ceil(6 * slowness())  # the agent has all but three of them to start in
    _, run, events = await caller.run(await house.repository(), prompt=prompt, timeout_seconds=seconds)
    assert (run["state"], run["reason"]) == ("failed", "timed_out"), run
    assert f"time limit of {seconds} s" in run["message"]
    assert "I was asked to stop." in "".join(each["text"] for each in data_of(events, "agent.message"))


async def test_the_agents_folder_is_made_anew_for_each_run(house: Rig, caller: Client) -> None:
    """What an earlier run left there, a hook for example, is not there in the next."""
    repository = await house.repository()
    prompt = 'os.makedirs("/workspace/agent/small", exist_ok=True); open("/workspace/agent/small/hook", "w").close()'
    session, run, _ = await caller.run(repository, prompt=prompt)
    assert run["state"] == "succeeded", run
    body = {"prompt": 'say(repr(os.listdir("/workspace/agent/small")))'}
    more = await caller.post(f"/sessions/{session['id']}/runs", body)
    run, _ = await caller.finished(session, more["id"])
    assert run["message"] == "[]", run


@pytest.mark.parametrize(
    "planted",
    ["mkdir /workspace/agent && cp -r /workspace/cache/evil /workspace/agent/small", "ln -s cache/evil agent"],
)
async def test_what_a_setup_plants_in_the_agents_folder_is_gone(house: Rig, caller: Client, planted: str) -> None:
    """A hook, or a link that leads elsewhere: it is removed, and what it led to is left alone."""
    evil = "mkdir -p /workspace/cache/evil/small && touch /workspace/cache/evil/small/hook"
    prompt = """
folder = "/workspace/agent/small"
say(json.dumps([os.path.realpath(folder), os.listdir(folder), os.path.exists("/workspace/cache/evil/small/hook")]))
"""
    setup = f"{evil} && cd /workspace && {planted}"
    _, run, _ = await caller.run(await house.repository(), prompt=prompt, setup=setup)
    assert run["message"] == '["/workspace/agent/small", [], true]', run


async def test_an_agents_folder_that_cannot_be_made_anew_is_told(house: Rig, caller: Client) -> None:
    """What stands in its place cannot be removed: nothing of it is taken for ours."""
    setup = "mkdir -p /workspace/agent/small/hooks && chmod 0500 /workspace/agent/small"
    _, run, _ = await caller.run(await house.repository(), prompt="say('Hello.')", setup=setup)
    assert (run["state"], run["reason"]) == ("failed", "agent_unavailable"), run
    assert run["message"].startswith("The agent's folder could not be created: tar: "), run


async def test_after_a_workers_death_the_prompt_is_given_again_and_the_lost_work_is_laid_back() -> None:
    """A service of its own: others would not like its death."""
    prompt = """
first = "/workspace/cache/first"
if not os.path.exists(first):
    os.makedirs("/workspace/cache", exist_ok=True)
    open(first, "w").close()
    edit("lost.txt", "precious")
    say("ready ")
    time.sleep(1000)
edit("done.txt", "done")
say("Done.")
"""
    async with agent_rig(warm=True) as house, house.client() as caller:
        repository = await house.repository()
        session = await caller.session(repository, prompt=prompt)
        await until(caller, session, "agent.message")
        await house.stop(signal.SIGKILL)
        await house.start()
        async with house.client() as again:
            run, events = await again.finished(session)
            assert (run["state"], run["attempt"], run["changed"]) == ("succeeded", 2, True), run
            assert len(data_of(events, "agent.started")) == 2
            [lost] = [each for each in data_of(events, "work.kept") if each["attempt"] == 1]
            assert lost["head_sha"] != run["head_sha"]
            patch = (await again.http.get(f"/sessions/{session['id']}/patch")).text
            assert "+done" in patch
            assert "+precious" in patch
