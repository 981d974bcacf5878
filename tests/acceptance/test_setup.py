"""What makes a checkout ready: a step of its own before the instruction, without keys, and no part of the work."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator

import pytest_asyncio

from gitward_standin import Repository
from rig import Client, Json, Rig, data_of, output, warm_rig

MAKES_READY = """
mkdir -p node_modules build
echo dependency > node_modules/module.js
echo generated > build/out.txt
echo changed >> README.md
rm -f gone.txt
echo "$PATH" > .path
git add build/out.txt
"""


def step_names(run: Json) -> list[str]:
    return [each["name"] for each in run["steps"]]


async def diff(client: Client, run: Json) -> str:
    return (await client.http.get(f"/sessions/{run['session_id']}/diff")).text


async def repository(there: Rig, files: dict[str, str] | None = None) -> Repository:
    return await there.repository(files={"README.md": "hello\n", "gone.txt": "gone\n", **(files or {})})


async def test_what_a_setup_leaves_is_no_part_of_the_work(there: Rig, client: Client) -> None:
    _, run, events = await client.run(await repository(there), "echo work > work.txt", setup=MAKES_READY)
    assert run["state"] == "succeeded", run
    assert step_names(run)[2:5] == ["checkout", "setup", "execute"]
    assert run["instruction"]["setup"] == MAKES_READY
    shown = await diff(client, run)
    assert "work.txt" in shown
    for name in ("node_modules", "build/out.txt", "README.md", "gone.txt", ".path"):
        assert name not in shown
    assert data_of(events, "notice") == []


async def test_what_the_instruction_changes_of_it_is_work(there: Rig, client: Client) -> None:
    command = "echo more >> README.md; echo mine > build/out.txt; echo new > gone.txt"
    _, run, _ = await client.run(await repository(there), command, setup=MAKES_READY)
    shown = await diff(client, run)
    assert "+changed\n+more" in shown
    assert "+mine" in shown
    assert "-gone\n+new" in shown
    assert "node_modules" not in shown


async def test_a_run_that_only_set_up_changes_nothing(there: Rig, client: Client) -> None:
    _, run, _ = await client.run(await repository(there), "true", setup=MAKES_READY)
    assert (run["state"], run["changed"]) == ("succeeded", False), run


async def test_staging_beside_a_setup_brings_nothing_of_it(there: Rig, client: Client) -> None:
    """The command's index holds what the setup staged."""
    command = "echo work > work.txt; git add work.txt"
    _, run, events = await client.run(await repository(there), command, setup=MAKES_READY)
    shown = await diff(client, run)
    assert "work.txt" in shown
    assert "build/out.txt" not in shown
    assert data_of(events, "notice") == []


async def test_a_setup_hides_no_later_change_by_its_index(there: Rig, client: Client) -> None:
    """Ours begins as the checkout wrote it, before any foreign code ran."""
    setup = "git update-index --assume-unchanged README.md; git update-index --skip-worktree gone.txt"
    _, run, _ = await client.run(await repository(there), "echo hidden >> README.md; echo too > gone.txt", setup=setup)
    shown = await diff(client, run)
    assert "+hidden" in shown
    assert "+too" in shown


async def test_a_failed_setup_ends_the_run_before_its_instruction(there: Rig, client: Client) -> None:
    """Also in the middle, and in a pipe."""
    for setup, code in (("echo told >&2; exit 7", 7), ("false; true", 1), ("false | bash", 1)):
        session, run, events = await client.run(await repository(there), "echo ran > ran.txt", setup=setup)
        assert (run["state"], run["reason"]) == ("failed", "setup_failed"), run
        assert run["message"] == f"The setup ended with exit code {code}; its output says why."
        assert step_names(run)[-2:] == ["setup", "settle"]
        assert ("told" in output(events, "setup")) is (code == 7)
        assert session["pull_request"] is None
        assert data_of(events, "work.kept") == []


async def test_a_setup_makes_no_commits(there: Rig, client: Client) -> None:
    for setup, moved in (
        ("echo x > x; git add x; git -c user.name=a -c user.email=a@b commit -qm x", "HEAD, refs/heads/"),
        ("git branch other", "refs/heads/other"),
        ("echo x >> README.md; git stash -q", "refs/stash"),
        ("git checkout -q --detach", "HEAD"),
    ):
        _, run, _ = await client.run(await repository(there), "true", setup=setup)
        assert run["reason"] == "setup_failed", (setup, run)
        assert run["message"].startswith(f"The setup moved {moved}"), run["message"]
    _, run, _ = await client.run(await repository(there), "true", setup="rm -rf .git")
    assert run["message"] == "The setup removed the checkout's .git."


async def test_variables_that_a_setup_hands_on(there: Rig, client: Client) -> None:
    """`export` ends with the setup's shell; lines in $GITWARD_ENV reach every bash of the instruction."""
    setup = 'mkdir -p ~/bin; echo "echo mine" > ~/bin/tool; chmod +x ~/bin/tool; export LOST=1\n'
    setup += 'echo \'export PATH="$HOME/bin:$PATH" KEPT=yes\' >> "$GITWARD_ENV"'
    _, run, events = await client.run(
        await repository(there), "tool; echo ${LOST-lost} $KEPT; bash -c tool; bash -lc tool", setup=setup
    )
    assert run["state"] == "succeeded", output(events)
    assert output(events).splitlines() == ["mine", "lost yes", "mine", "mine"]


async def test_nothing_of_a_setup_goes_on_running(there: Rig, client: Client) -> None:
    setup = "(exec -a left-by-setup sleep 1000) & sleep 0.1"
    _, run, events = await client.run(await repository(there), "pgrep -f left-by-setu[p] || echo none", setup=setup)
    assert run["state"] == "succeeded"
    assert output(events).strip() == "none"


async def test_the_repository_s_file_runs_for_commands_on_request_only(there: Rig, client: Client) -> None:
    files = {".gitward/setup": "echo made by $0 > made-by-setup\n"}
    made = await repository(there, files)
    _, run, events = await client.run(made, "cat made-by-setup || echo none")
    assert "setup" not in step_names(run)
    assert output(events).splitlines()[-1] == "none"
    _, run, events = await client.run(made, "cat made-by-setup", setup=True)
    assert output(events).strip() == "made by .gitward/setup"
    _, run, _ = await client.run(await repository(there), "true", setup=True)
    assert (run["reason"], run["message"]) == (
        "setup_failed",
        "The branch has no .gitward/setup, which the run asks for.",
    )


async def test_a_follow_up_has_the_session_s_setup_unless_it_says_otherwise(there: Rig, client: Client) -> None:
    session, run, _ = await client.run(await repository(there), "true", setup="echo first")
    assert session["setup"] == "echo first"
    seen = []
    for body in ({}, {"setup": False}, {"setup": "echo other"}, {}):
        run = await client.post(f"/sessions/{session['id']}/runs", {"command": "true", **body})
        _, events = await client.finished(session, run["id"])
        seen.append(output(events, "setup").strip())
    assert seen == ["first", "", "other", "first"]


async def test_caches_of_one_setup_are_there_for_the_next(there: Rig, client: Client) -> None:
    setup = 'for each in "$PIP_CACHE_DIR" "$npm_config_cache" "$GOCACHE" "$GOMODCACHE"; do mkdir -p "$each"; '
    setup += 'ls "$each"; touch "$each/kept"; done; mkdir -p "$GOMODCACHE/m"; chmod 500 "$GOMODCACHE/m"'
    session, _, _ = await client.run(await repository(there), "true", setup=setup)
    run = await client.post(f"/sessions/{session['id']}/runs", {"command": "true"})
    run, events = await client.finished(session, run["id"])
    assert run["state"] == "succeeded", run
    assert output(events, "setup").split() == ["kept", "kept", "kept", "kept", "m"]


@pytest_asyncio.fixture(loop_scope="session")
async def strict() -> AsyncIterator[tuple[Rig, Client, str]]:
    key = "sk-CANARY" + secrets.token_hex(12)
    inject = "api.model.test = x-api-key: MODEL_KEY"
    async with contextlib.AsyncExitStack() as stack:
        service = await stack.enter_async_context(
            warm_rig(GITWARD_INJECT=inject, MODEL_KEY=key, GITWARD_SETUP_SECONDS="10")
        )
        yield service, await stack.enter_async_context(service.client()), key


async def test_a_setup_reaches_no_host_with_a_key(strict: tuple[Rig, Client, str]) -> None:
    service, client, key = strict
    ask = "curl -sS -w '%{http_code}\\n' https://api.model.test/v1/models 2>&1"
    _, run, events = await client.run(await repository(service), ask, setup=f"{ask}; env")
    assert run["state"] == "succeeded", run
    said = output(events, "setup")
    assert "api.model.test opens when the setup has ended; a setup gets no key" in said
    assert "403" in said
    assert key not in str(events)
    [denied] = data_of(events, "policy.denied")
    assert denied["rule"] == "inject.setup"
    assert output(events).strip().endswith("502")  # it is open now, and there is no such host


async def test_a_setup_has_a_limit_of_its_own(strict: tuple[Rig, Client, str]) -> None:
    service, client, _ = strict
    _, run, _ = await client.run(await repository(service), "true", setup="sleep 1000")
    assert run["reason"] == "setup_failed", run
    assert run["message"].endswith("longer than its time limit of 10 s. It is set by GITWARD_SETUP_SECONDS.")
    _, run, _ = await client.run(await repository(service), "true", setup="sleep 1000", timeout_seconds=1)
    assert run["reason"] == "timed_out", run
