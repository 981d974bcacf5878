"""The commands of the documentation do what their pages say: run as they are written, beside a real service."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from standardwebhooks import Webhook

from contract_tools import run_node
from documented import code, shell
from gitward.settings.environment import clean_environment
from gitward_standin import Repository
from postgres import Postgres
from reader import Reader, clone, documents
from rig import LOGIN, RUN_SECONDS, START_SECONDS, Client, Rig, warm_rig

_TOOLS = {"make": "echo made >> made.txt", "npm": "exit 0", "go": "exit 0"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared() -> AsyncIterator[tuple[Rig, Repository]]:
    """One service for all pages, with `owner/repo`, and with tools in its sandboxes that tests only pretend to have."""
    with tempfile.TemporaryDirectory() as made:
        tools = Path(made)
        tools.chmod(0o755)
        for name, does in _TOOLS.items():
            (tools / name).write_text(f"#!/bin/sh\n{does}\n")
            (tools / name).chmod(0o755)
        async with warm_rig(GITWARD_CALLBACK_HOSTS="hooks.example.org", GITWARD_SANDBOX_PATHS=made) as there:
            for name in ("owner/other", "owner/name"):
                await there.github.add_repository(name, permissions={LOGIN: "admin"})
            yield there, await there.github.add_repository("owner/repo", permissions={LOGIN: "admin"})


@pytest.fixture
def reader(shared: tuple[Rig, Repository], tmp_path: Path) -> Reader:
    return Reader(shared[0], tmp_path)


@pytest.fixture
def repository(shared: tuple[Rig, Repository]) -> Repository:
    return shared[1]


@pytest_asyncio.fixture(loop_scope="session")
async def caller(shared: tuple[Rig, Repository]) -> AsyncIterator[Client]:
    async with shared[0].client("dev") as made:
        yield made


async def test_the_api_page_creates_reads_and_follows(reader: Reader, caller: Client) -> None:
    out = await reader.types(shell("docs/api.md", "the-api") + shell("docs/api.md", "a-session"))
    [session] = documents(out)
    run, _ = await caller.finished(session)
    assert (run["state"], run["pull_request"]["draft"]) == ("succeeded", False)
    given = {"SESSION": session["id"], "RUN": run["id"]}
    assert '"items"' in await reader.types(shell("docs/api.md", "lists"))
    events = await reader.types(shell("docs/api.md", "events"), **given)
    assert events.count("event: run.ended") == 2
    assert events.count("id: 17\n") == 1
    follow_up, cancelled, retried = documents(
        await reader.types(shell("docs/api.md", "follow-up-cancel-retry"), **given)
    )
    assert cancelled["id"] == session["id"]
    for each in (follow_up, retried):
        await caller.finished(session, each["id"])


async def test_the_api_page_makes_a_schedule(reader: Reader) -> None:
    [schedule] = documents(await reader.types(shell("docs/api.md", "schedules")))
    assert schedule["next_at"]


async def test_the_api_page_recovers_work(reader: Reader, repository: Repository, caller: Client) -> None:
    session, _, _ = await caller.run(repository, "echo kept > kept.txt; git add .; git stash; echo new > new.txt")
    await clone(reader, repository)
    await reader.types(shell("docs/api.md", "recover-work"), SESSION=session["id"])
    assert (reader.folder / "new.txt").read_text() == "new\n"
    assert "left/" in await reader.types("git branch --list 'left/*'")


async def test_the_api_page_publishes_again(reader: Reader, repository: Repository, caller: Client) -> None:
    session, run, _ = await caller.run(repository, "echo dry > dry.txt", publish={"mode": "dry_run"})
    out = await reader.types(shell("docs/api.md", "publish-again"), SESSION=session["id"], RUN=run["id"])
    first, second = documents(out)
    assert first["publish_of"] == run["id"]
    assert second["id"] == first["id"]
    published, _ = await caller.finished(session, first["id"])
    assert published["pull_request"]["draft"] is True


async def test_the_cookbook_in_the_shell(reader: Reader, repository: Repository, caller: Client) -> None:
    first = shell("docs/cookbook.md", "api-cookbook") + shell(
        "docs/cookbook.md", "run-a-command-follow-it-read-what-came-of-it"
    )
    out = await reader.types(f'{first}echo "$SESSION $RUN"\n')
    assert "event: run.ended" in out
    assert "+hello" in out
    session, run = out.split()[-2:]
    out = await reader.types(shell("docs/cookbook.md", "continue-an-interrupted-stream"), SESSION=session, RUN=run)
    assert "id: 3\n" not in out
    assert "id: 4\n" in out
    once = shell("docs/cookbook.md", "post-once-although-the-network-fails")
    answers = documents(await reader.types(once + once))
    assert len({answer["id"] for answer in answers}) == 1
    await caller.finished(answers[0])
    await clone(reader, repository)
    assert "hello" in await reader.types(
        shell("docs/cookbook.md", "take-the-work-home") + "git show FETCH_HEAD", SESSION=session
    )


async def test_the_cookbook_in_python(reader: Reader, repository: Repository, caller: Client) -> None:
    base = code("docs/cookbook.md", "run-a-command-follow-it-read-what-came-of-it", "python")
    out = await reader.python(base)
    assert out.splitlines()[-1].startswith("succeeded ")
    assert "/pull/" in out
    await reader.python(base + code("docs/cookbook.md", "one-change-in-many-repositories", "python"))
    made = (await caller.get("/sessions", label="spelling"))["items"]
    assert {session["repo"] for session in made} == {"owner/repo", "owner/other"}
    made.append(await caller.session(repository, command="exit 3", labels=["spelling"]))
    for session in made:
        await caller.finished(session)
    out = await reader.python(base + code("docs/cookbook.md", "retry-what-failed", "python"))
    assert out.count("task_failed") == 1
    assert (await caller.get(f"/sessions/{made[-1]['id']}"))["runs"][-1]["instruction"]["command"] == "exit 3"
    out = await reader.python(base + code("docs/cookbook.md", "look-first-publish-later", "python"))
    assert "+checked" in out


async def test_the_cookbook_in_typescript(reader: Reader) -> None:
    program = reader.folder / "cookbook.ts"
    program.write_text(code("docs/cookbook.md", "run-a-command-follow-it-read-what-came-of-it", "ts"))
    status, out = await run_node(
        str(program), folder=reader.folder, seconds=RUN_SECONDS, API=reader.there.url, JWT=reader.environment["JWT"]
    )
    assert status == 0, out
    assert out.splitlines()[-1].startswith("succeeded ")
    assert "/pull/" in out


async def test_the_terminal_page(reader: Reader, repository: Repository) -> None:
    environment = dict(reader.environment)
    for name in ("GITWARD_URL", "GITWARD_JWT"):
        del reader.environment[name]
    reader.environment["GITWARD_PORT"] = reader.there.url.rpartition(":")[2]
    out = await reader.types(shell("docs/terminal.md", "the-terminal").replace("login  ", f"login {reader.there.url} "))
    assert "dev" in out
    reader.environment = environment
    await clone(reader, repository)
    (reader.folder / "chores.sh").write_text("echo swept > swept.txt\n")
    out = await reader.types(shell("docs/terminal.md", "one-repository"))
    assert out.count("/pull/") >= 2
    (reader.folder / "bump.sh").write_text("echo 24 > .nvmrc\n")
    (reader.folder / "repos.txt").write_text("owner/repo\nowner/other # a comment\n")
    out = await reader.types(shell("docs/terminal.md", "many-repositories"))
    assert "succeeded" in out


async def test_the_pages_of_operators(reader: Reader, caller: Client) -> None:
    session = await caller.post("/sessions", {"repo": "owner/name", "command": "true"})
    await caller.finished(session)
    out = await reader.types(shell("docs/mirrors.md", "disk"))
    assert "owner/name" in out
    out = await reader.types(shell("docs/signing-in.md", "the-audit-log"))
    assert '"session.posted"' in out
    assert "session.posted" in (reader.folder / "audit.jsonl").read_text()
    out = await reader.types(shell("docs/incidents.md", "incidents"))
    assert "The database answers." in out
    async with reader.there.client("alice") as alice:
        await alice.post("/sessions", {"repo": "owner/name", "command": "sleep 300"})
    out = await reader.types(shell("docs/incidents.md", "a-command-does-harm"))
    assert "alice at gitward: sessions cancelled: 1" in out


async def test_the_webhooks_page(reader: Reader, repository: Repository, caller: Client) -> None:
    session = await caller.session(repository)
    await caller.finished(session)
    posted, deliveries = documents(
        await reader.types(shell("docs/webhooks.md", "for-one-session"), SESSION=session["id"])
    )
    assert "callback_secret" not in posted
    assert deliveries["items"] == []
    await caller.finished(posted)


async def test_the_webhooks_page_checks_a_signature(reader: Reader) -> None:
    secret, sent = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", datetime.now(UTC)
    body = json.dumps({"type": "run.ended", "data": {"session": {"url": "https://gitward.example/s/1"}}})
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(sent.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", sent, body),
    }
    program = code("docs/webhooks.md", "what-is-sent", "python")
    out = await reader.python(f"secret, body, headers = {secret!r}, {body!r}, {headers!r}\n{program}")
    assert out == "run.ended https://gitward.example/s/1\n"


async def test_the_page_on_many_workers(reader: Reader, postgres: Postgres) -> None:
    data, name = reader.there.root / "another", postgres.make()
    given = {**reader.environment, "GITWARD_DATABASE_URL": postgres.url(name), "GITWARD_DATA_DIR": str(data)}
    migrate, serve, worker = shell("docs/operations.md", "many-workers").splitlines()
    try:
        for line, ready in ((migrate, ""), (serve, "Gitward is ready at"), (worker, "The worker is ready")):
            assert ready in await until_ready(f"exec {line}", ready, reader.folder, given)
    finally:
        await asyncio.to_thread(postgres.drop, name)


async def until_ready(script: str, ready: str, folder: Path, environment: dict[str, str]) -> str:
    """Runs a command to its first line, then ends it as a service manager does; the line. It must end well."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", script),
        cwd=folder,
        env=clean_environment(**environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(START_SECONDS):
        line = await process.stdout.readline() if ready else b""
        if ready:
            process.terminate()
        await process.communicate()
    assert process.returncode == 0, line
    return line.decode()


async def test_the_page_on_installation(reader: Reader) -> None:
    assert "bubblewrap" in await reader.types(shell("docs/install.md", "check-a-machine"))
    token, serve = shell("docs/install.md", "start-it").splitlines()
    assert token == "export GITHUB_TOKEN=..."
    given = {**reader.environment, "GITWARD_DATA_DIR": str(reader.there.root / "third")}
    await until_ready(f"exec {serve}", "Gitward is ready at", reader.folder, given)
