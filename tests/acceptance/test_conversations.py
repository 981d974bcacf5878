"""A follow-up goes on in the same conversation: a small agent that remembers in a file of its own, over HTTP."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from agent_rig import agent_rig
from gitward.audit.channels import Channel
from gitward.audit.database import search_artifacts
from gitward.audit.ledger import Ledger
from gitward.audit.needles import Plant
from gitward.runs.storage.workspace_names import workspace_of
from gitward.secrets import Secret
from rig import RUN_SECONDS, Client, Json, Rig, data_of, until

AGENT = "remembering"
MEMORY = 'say(json.dumps([remembered(), sorted(os.listdir("/workspace/agent/remembering"))]))'


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house() -> AsyncIterator[Rig]:
    async with agent_rig(warm=True) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def caller(house: Rig) -> AsyncIterator[Client]:
    async with house.client() as made:
        yield made


def resumed(events: list[Json]) -> list[bool]:
    return [each["resumed"] for each in data_of(events, "agent.started")]


def notices(events: list[Json]) -> str:
    return " ".join(each["message"] for each in data_of(events, "notice"))


async def follow(client: Client, session: Json, prompt: str, agent: str = AGENT) -> tuple[Json, list[Json]]:
    more = await client.post(f"/sessions/{session['id']}/runs", {"prompt": prompt, "agent": agent})
    return await client.finished(session, more["id"])


async def lose_workspace(house: Rig, session: Json) -> None:
    """As retention does, or another machine. The service may be removing a part of it at the same time."""
    folder = workspace_of(house.data / "workspaces", session["id"])

    def is_gone() -> bool:
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()

    await until(is_gone, f"{folder} is removed")


async def until_told(client: Client, session: Json, text: str) -> None:
    async with asyncio.timeout(RUN_SECONDS):
        async for event in client.stream(session):
            if event["type"] == "agent.message" and text in event["data"]["text"]:
                return
    raise AssertionError(f"the run ended without {text!r}")


@pytest.mark.parametrize("agent", ["remembering", "loading"])
async def test_a_follow_up_goes_on_in_the_same_conversation(house: Rig, caller: Client, agent: str) -> None:
    session, run, events = await caller.run(await house.repository(), prompt="say('Hello.')", agent=agent)
    assert (run["state"], resumed(events)) == ("succeeded", [False]), run
    run, events = await follow(caller, session, "say(json.dumps([remembered(), note]))", agent)
    assert resumed(events) == [True], events
    assert run["message"].startswith('[["say(\'Hello.\')"], "[Note from Gitward'), run
    assert "said before" not in str(events)
    assert "The checkout is new" in run["message"]
    assert "You do not remember" not in run["message"]


async def test_it_goes_on_after_the_workspace_is_gone(house: Rig, caller: Client) -> None:
    """As on another machine: only the database has it."""
    session, _, _ = await caller.run(await house.repository(), prompt="say('Hello.')", agent=AGENT)
    await lose_workspace(house, session)
    run, events = await follow(caller, session, "say(repr(remembered()))")
    assert (run["message"], resumed(events)) == ("[\"say('Hello.')\"]", [True]), run


async def test_only_the_conversation_comes_back(house: Rig, caller: Client) -> None:
    """A hostile run plants settings, a hook, and links in place of a conversation; the next run finds none of it."""
    prompt = """
home = "/workspace/agent/remembering"
for name in ("settings.json", "hooks/start", "talks/hook.sh", "talks/deep/x.jsonl", "plugins/evil.jsonl"):
    os.makedirs(os.path.dirname(f"{home}/{name}"), exist_ok=True)
    with open(f"{home}/{name}", "w") as file:
        file.write("evil")
os.symlink("/etc/passwd", f"{home}/talks/link.jsonl")
os.mkfifo(f"{home}/talks/pipe.jsonl")
os.symlink("/etc", f"{home}/links.jsonl")
say("Planted.")
"""
    session, run, _ = await caller.run(await house.repository(), prompt=prompt, agent=AGENT)
    assert run["state"] == "succeeded", run
    run, events = await follow(
        caller,
        session,
        """
found = [os.path.join(where, name) for where, _, names in os.walk("/workspace/agent") for name in names]
say(json.dumps([sorted(found), open("/workspace/agent/remembering/settings.json").read()]))
""",
    )
    assert resumed(events) == [True], events
    home = "/workspace/agent/remembering"
    assert run["message"] == f'[["{home}/settings.json", "{home}/talks/conversation-1.jsonl"], "ours"]', run


async def test_a_resume_that_fails_begins_anew_with_a_digest(house: Rig, caller: Client) -> None:
    prompt = """
run("echo", "looked around")
edit("a.txt", "a")
os.rename(memory_file(), memory_file("other"))
say("I added a.txt.")
"""
    session, run, _ = await caller.run(await house.repository(), prompt=prompt, agent=AGENT)
    assert run["changed"], run
    listed = "os.listdir(os.path.dirname(memory_file()))"
    run, events = await follow(caller, session, f"say(json.dumps([remembered(), {listed}, note]))")
    assert (run["state"], resumed(events)) == ("succeeded", [False]), run
    assert "could not be resumed (no conversation conversation-1): a new one begins" in notices(events)
    assert run["message"].startswith('[[], ["conversation-1.jsonl"], '), run  # and not the other one
    for told in ("You do not remember", "> I added a.txt.", "- echo looked around (completed)", "> edit("):
        assert told in run["message"]


@pytest.mark.parametrize(
    ("agent", "why"),
    [
        ("replacing", "it began another conversation instead"),
        ("pretending", "it did nothing in it, and its model was never asked"),
    ],
)
async def test_an_agent_that_only_says_that_it_resumed_begins_anew(
    house: Rig, caller: Client, agent: str, why: str
) -> None:
    """And the next prompt too: a conversation that is gone must not fail all that follow."""
    session, _, _ = await caller.run(await house.repository(), prompt="say('I looked around.')", agent=agent)
    for _ in range(2):
        run, events = await follow(caller, session, "say(note)", agent)
        assert run["state"] == "succeeded", run
        assert f"could not be resumed ({why}): a new one begins" in notices(events)
        assert "> I looked around." in run["message"]
        assert resumed(events)[-1] is False


async def test_a_resume_that_fails_for_the_moment_is_tried_again(house: Rig, caller: Client) -> None:
    session, _, _ = await caller.run(await house.repository(), prompt="say('Hello.')", agent="locked")
    run, events = await follow(caller, session, "say(repr(remembered()))", "locked")
    assert (run["message"], resumed(events)) == ("[\"say('Hello.')\"]", [True]), run
    assert not notices(events)


async def test_what_an_agent_remembers_after_its_answer_is_kept(house: Rig, caller: Client) -> None:
    """Some write their last answer only then, and lose it when they are ended at once."""
    prompt = "say('Hello.'); remember_late('my own answer')"
    session, _, _ = await caller.run(await house.repository(), prompt=prompt, agent=AGENT)
    run, _ = await follow(caller, session, "say(repr(remembered()[1:]))")
    assert run["message"] == "['my own answer']", run


async def test_an_interrupted_turn_does_not_cost_the_conversation(house: Rig, caller: Client) -> None:
    """Neither when the agent stops at once, nor when it does not listen and is killed."""
    session, _, _ = await caller.run(await house.repository(), prompt="say('Hello.')", agent=AGENT)
    for wait in ("until_cancelled(); stop = 'cancelled'", "time.sleep(1000)"):
        body = {"prompt": f"say('ready '); {wait}", "agent": AGENT}
        more = await caller.post(f"/sessions/{session['id']}/runs", body)
        async with asyncio.timeout(RUN_SECONDS):
            async for event in caller.stream(session, more["id"]):
                if event["type"] == "agent.message":
                    break
        await caller.post(f"/sessions/{session['id']}/cancel", status=200)
        ended, _ = await caller.finished(session, more["id"])
        assert ended["state"] == "cancelled", ended
    run, events = await follow(caller, session, "say(str(len(remembered())))")
    assert (run["message"], resumed(events)) == ("3", [True]), run
    assert not notices(events)


async def test_a_conversation_with_a_secret_is_not_kept(house: Rig, caller: Client) -> None:
    secret = "ghp_" + "N0tOurs" * 6
    prompt = f"say('Hello.') # {secret[:10]}"
    session, _, events = await caller.run(await house.repository(), prompt=prompt, agent=AGENT)
    assert "is not kept" not in notices(events)
    run, events = await follow(
        caller, session, f"open(memory_file(), 'a').write(json.dumps('{secret[:9]}' + '{secret[9:]}'))"
    )
    assert "is not kept: it holds a secret" in notices(events), run
    run, events = await follow(caller, session, "say(repr(remembered()))")
    assert (run["message"], resumed(events)) == ("[]", [False]), run
    assert "a new one begins, with a digest" in notices(events)


async def test_the_audit_reads_what_a_conversation_holds(house: Rig, caller: Client) -> None:
    """It is packed in the database, where no search of the rows sees a key."""
    word = "plum-0123456789-abcdefghij"
    session, run, _ = await caller.run(await house.repository(), prompt=f"say('Hello.') # {word}", agent=AGENT)
    assert "conversation" in house.stored_kinds(session["id"]), run
    ledger = Ledger(Secret(house.token), Plant(), {"WORD": Secret(word)})
    await search_artifacts(ledger, f"sqlite:///{house.data / 'gitward.db'}")
    hits = ledger.findings(Channel.ARTIFACTS).hits
    assert {hit.place for hit in hits} == {f"conversation of {run['id']}, attempt 1, unpacked"}
    assert {hit.of for hit in hits} == {"WORD"}


async def test_a_pipe_where_git_reads_costs_no_look_at_the_work_its_time() -> None:
    """It is passed over until the pipe is gone; the run is not touched."""
    prompt = """
edit("so-far.txt", "precious")
os.mkfifo(".gitattributes")
say("ready ")
until_removed = "/workspace/go"
while not os.path.exists(until_removed):
    time.sleep(0.05)
os.unlink(".gitattributes")
say("steady ")
until_cancelled()
stop = "cancelled"
"""
    async with agent_rig(warm=True, GITWARD_AGENT_KEEP_SECONDS="1") as service, service.client() as client:
        session = await client.session(await service.repository(), prompt=prompt, agent=AGENT)
        await until_told(client, session, "ready")
        refused = "its work so far could not be kept"
        await until(lambda: refused in service.log.read_text(), "a look at the work that found the pipe")
        assert f"{refused}: a named pipe stands where git reads: 'repo/.gitattributes'" in service.log.read_text()
        assert "live_bundle" not in service.stored_kinds(session["id"])
        (workspace_of(service.data / "workspaces", session["id"]) / "work" / "go").touch()
        await until(lambda: "live_bundle" in service.stored_kinds(session["id"]), "the work so far is kept")
        await client.post(f"/sessions/{session['id']}/cancel", status=200)
        run, _ = await client.finished(session)
        assert run["state"] == "cancelled", run


async def test_another_session_and_another_owner_never_get_it(house: Rig, caller: Client) -> None:
    repository = await house.repository()
    session, _, _ = await caller.run(repository, prompt="say('Mine alone.')", agent=AGENT)
    async with house.client("bob") as bob:
        for path in ("conversation", "bundle?kind=conversation", "artifacts/conversation"):
            assert (await bob.http.get(f"/sessions/{session['id']}/{path}")).status_code == 404
            assert (await caller.http.get(f"/sessions/{session['id']}/{path}")).status_code in {404, 422}
        _, run, events = await bob.run(repository, prompt="say(json.dumps([remembered(), note]))", agent=AGENT)
    assert (run["message"], resumed(events)) == ('[[], ""]', [False]), run
    _, run, events = await caller.run(repository, prompt="say(json.dumps([remembered(), note]))", agent=AGENT)
    assert (run["message"], resumed(events)) == ('[[], ""]', [False]), run


async def test_each_agent_of_a_session_has_its_own(house: Rig, caller: Client) -> None:
    session, _, _ = await caller.run(await house.repository(), prompt="say('Hello.')", agent=AGENT)
    run, events = await follow(caller, session, "say(json.dumps([remembered(), note]))", "loading")
    assert resumed(events) == [False], events
    assert run["message"].startswith("[[], "), run
    assert "You do not remember" in run["message"]
    assert not data_of(events, "notice")
    run, events = await follow(caller, session, "say(repr(remembered()))")
    assert (run["message"], resumed(events)) == ("[\"say('Hello.')\"]", [True]), run


async def test_the_next_prompt_is_told_of_kept_work_and_may_lay_it_back(house: Rig, caller: Client) -> None:
    prompt = "edit('kept.txt', 'precious'); stop = 'refusal'"
    session, run, events = await caller.run(await house.repository(), prompt=prompt, agent=AGENT)
    assert (run["state"], len(data_of(events, "work.kept"))) == ("failed", 1), run
    run, events = await follow(
        caller,
        session,
        """
commit = note.split("It is commit ")[1].split(",")[0]
run("git", "merge", "--quiet", commit)
run("git", "bundle", "verify", note.split("the bundle ")[1].split(";")[0])
say(note)
""",
    )
    assert (run["state"], run["changed"]) == ("succeeded", True), run
    assert "+precious" in (await caller.http.get(f"/sessions/{session['id']}/diff")).text
    said = data_of(events, "agent.ended")[0]["text"]
    assert data_of(events, "agent.ended")[0]["failed_tools"] == 0, events
    assert "Run 1 of this session ended as failed (The agent refused to go on.)" in said
    run, _ = await follow(caller, session, "say(note)")
    assert "/workspace/kept" not in run["message"]  # it is on the branch by now


async def test_after_kill_9_in_a_tool_call_it_goes_on_and_does_not_repeat(house: Rig, caller: Client) -> None:
    """A service of its own: others would not like its death."""
    prompt = """
if not note:
    edit("first.txt", "first")
    run("git", "add", "first.txt")
    run("git", "commit", "-qm", "Add first")
    edit("second.txt", "second")
    update("tool_call", toolCallId="open", title="Sleep", kind="execute", status="in_progress")
    say("ready ")
    time.sleep(1000)
state = run("git", "log", "-1", "--format=%s") + run("git", "status", "--porcelain")
edit("third.txt", "third")
say(json.dumps([state, len(remembered()), note]))
"""
    async with agent_rig(warm=True) as mortal, mortal.client() as client:
        session = await client.session(await mortal.repository(), prompt=prompt, agent=AGENT)
        await until_told(client, session, "ready")
        await mortal.stop(signal.SIGKILL)
        await mortal.start()
        async with mortal.client() as again:
            run, events = await again.finished(session)
            assert (run["state"], run["attempt"], run["changed"]) == ("succeeded", 2, True), run
            assert resumed(events) == [False, True]
            said = data_of(events, "agent.ended")[-1]["text"]
            assert said.startswith('["Add first\\n?? second.txt\\n", 1, "[Note from Gitward'), said
            assert "Your turn was interrupted" in said
            assert "were restored" in said
            patch = (await again.http.get(f"/sessions/{session['id']}/patch")).text
            assert all(f"+{each}" in patch for each in ("first", "second", "third"))
            assert patch.count("Subject: ") == 2


async def test_a_machine_that_is_lost_costs_the_last_minutes_at_most() -> None:
    """The work so far is nowhere but in the database: not shown while the run goes on, and laid back after it."""
    prompt = """
if not note:
    edit("so-far.txt", "precious")
    say("ready ")
    time.sleep(1000)
say(json.dumps([os.listdir("."), len(remembered()), note]))
"""
    async with agent_rig(warm=True, GITWARD_AGENT_KEEP_SECONDS="1") as mortal, mortal.client() as client:
        session = await client.session(await mortal.repository(), prompt=prompt, agent=AGENT)
        await until_told(client, session, "ready")
        so_far = {"conversation", "live_bundle", "live_head"}
        await until(lambda: so_far <= mortal.stored_kinds(session["id"]), f"{sorted(so_far)} while the run goes on")
        assert (await client.http.get(f"/sessions/{session['id']}/diff")).status_code == 404
        await mortal.stop(signal.SIGKILL)
        await lose_workspace(mortal, session)
        await mortal.start()
        async with mortal.client() as again:
            run, events = await again.finished(session)
            assert (run["state"], run["attempt"], run["changed"]) == ("succeeded", 2, True), run
            assert resumed(events) == [False, True]
            said = data_of(events, "agent.ended")[-1]["text"]
            assert "so-far.txt" in said.split("]")[0]
            assert "were restored" in said
            [kept] = data_of(events, "work.kept")
            assert kept["attempt"] == 1
            assert "+precious" in (await again.http.get(kept["artifacts"]["diff"])).text
            assert not {kind for kind in mortal.stored_kinds(session["id"]) if kind.startswith("live_")}
