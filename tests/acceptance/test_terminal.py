"""The client on the command line, as a process of its own beside a real service."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from command_line import gitward
from gitward.settings.environment import clean_environment
from real_issuer import consent, real_issuer
from rig import Rig, until, warm_rig
from terminal import Terminal, clone, git

FINISHED = 300.0


@pytest.fixture
def terminal(there: Rig, tmp_path: Path) -> Terminal:
    return Terminal(there, tmp_path)


async def test_a_run_is_shown_to_its_pull_request_and_its_work_is_fetched(
    there: Rig, terminal: Terminal, tmp_path: Path
) -> None:
    repository = await there.repository()
    here = await clone(repository, tmp_path / "clone")
    command = "echo working; echo new > made.txt"
    out = await terminal("run", "-c", command, "--title", "Make", "-f", cwd=here)
    assert "working" in out
    assert "publish       succeeded" in out
    assert "/pull/" in out
    assert (await terminal("logs", cwd=here)).splitlines()[-1] == "working"
    assert "+new" in await terminal("diff", cwd=here)
    assert "succeeded" in await terminal("show", cwd=here)
    await terminal("apply", cwd=here)
    assert (here / "made.txt").read_text() == "new\n"
    await git(here, "reset", "--quiet", "--hard")
    await terminal("checkout", cwd=here)
    assert (here / "made.txt").read_text() == "new\n"
    session = (await terminal.documents("sessions", "--repo", repository.full_name))[0]
    assert await git(here, "branch", "--show-current") == session["branch"]
    assert session["title"] == "Make"
    assert session["id"] in await terminal("open", cwd=here)


async def test_what_was_never_pushed_is_fetched_too(there: Rig, terminal: Terminal, tmp_path: Path) -> None:
    repository = await there.repository()
    here = await clone(repository, tmp_path / "clone")
    out = await terminal("run", "-c", "echo half > half.txt; exit 3", "-f", code=1, cwd=here)
    assert "task_failed" in out
    assert "gitward checkout" in out
    await terminal("checkout", cwd=here)
    assert (here / "half.txt").read_text() == "half\n"
    await terminal("publish", "-f", cwd=here)
    assert len(repository.pulls) == 1


async def test_json_is_all_that_a_program_gets(there: Rig, terminal: Terminal) -> None:
    repository = await there.repository()
    events = await terminal.documents("run", repository.full_name, "-c", "echo hi", "--follow")
    assert [event["seq"] for event in events] == sorted(event["seq"] for event in events)
    assert events[-1]["type"] == "run.ended"
    session = (await terminal.documents("sessions", "--repo", repository.full_name))[0]
    short = session["id"].removeprefix("ses_")[:8]
    assert (await terminal.documents("show", short))[0]["id"] == session["id"]
    made = (await terminal.documents("follow-up", short, "-c", "echo more"))[0]
    assert made["number"] == 2
    assert (await terminal.documents("logs", short, "-f"))[-1]["type"] == "run.ended"
    assert (await terminal.documents("retry", short, "--follow"))[-1]["data"]["state"] == "succeeded"


async def test_a_person_leaves_and_comes_back(there: Rig, terminal: Terminal) -> None:
    """Ctrl-C ends the watching, not the run."""
    repository = await there.repository()
    leader, follower = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gitward", "run", repository.full_name, "-f"),
        *("-c", "echo begun; while ! [ -e /tmp/go ]; do sleep 0.1; done"),
        stdin=follower,
        stdout=follower,
        stderr=follower,
        cwd=terminal.folder,
        env=clean_environment(**terminal.environment, TERM="xterm"),
        # Whoever started the tests in the background had this signal ignored, and everything below inherits that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    os.close(follower)
    seen = b""
    async with asyncio.timeout(FINISHED):
        while b"begun" not in seen:
            seen += await asyncio.to_thread(os.read, leader, 4096)
        process.send_signal(signal.SIGINT)
        while True:
            try:
                seen += await asyncio.to_thread(os.read, leader, 4096)
            except OSError:  # EIO: nobody has the other end any more
                break
        assert await process.wait() == 130
    os.close(leader)
    assert b"gitward logs -f" in seen
    session = (await terminal.documents("sessions", "--repo", repository.full_name))[0]
    assert session["state"] == "running"
    short = session["id"].removeprefix("ses_")[:6]
    assert "cancel" in await terminal("cancel", short)
    assert "cancelled" in await terminal("logs", short, "-f", code=3)


async def test_many_repositories_and_only_again_what_needs_it(there: Rig, terminal: Terminal, tmp_path: Path) -> None:
    good = [await there.repository() for _ in range(3)]
    bad = await there.repository()
    file = tmp_path / "repos.txt"
    names = [each.full_name for each in (*good, bad)]
    file.write_text("# all of ours\n" + "\n".join([*names, names[0].upper(), "acme/none-such"]) + "\n")
    command = f'case "$(git remote get-url origin)" in *{bad.full_name}*) exit 1;; esac; echo x > x.txt'
    arguments = ("run", "--repos", str(file), "--label", "sweep", "--at-once", "2")
    seen = await terminal.documents(*arguments, "-c", command, code=1)
    assert "summary" in seen[-1], seen
    assert seen[-1]["summary"]["succeeded"] == 3
    assert seen[-1]["summary"]["failed: task_failed"] == 1
    assert seen[-1]["summary"]["failed: repository_not_found"] == 1
    assert all(len(each.pulls) == 1 for each in good)
    file.write_text("\n".join(names) + "\n")
    again = await terminal.documents(*arguments, "-c", "echo y > y.txt")
    assert again[-1]["summary"] == {"skipped": 3, "succeeded": 1}
    assert len(bad.pulls) == 1
    assert len(await terminal.documents("sessions", "--label", "sweep")) == 5


async def test_work_that_was_too_large_to_keep_is_done_again(there: Rig, terminal: Terminal, tmp_path: Path) -> None:
    repository = await there.repository()
    there.github.fault(method="POST", path=f"*/{repository.full_name}.git/git-receive-pack", status=403)
    file = tmp_path / "repos.txt"
    file.write_text(repository.full_name)
    arguments = ("run", "--repos", str(file), "--label", "large", "-c")
    failed = await terminal.documents(*arguments, "head -c 12M /dev/urandom > large", code=1)
    assert failed[-1]["summary"] == {"failed: push_rejected": 1}
    assert (await terminal.documents(*arguments, "echo small > small"))[-1]["summary"] == {"succeeded": 1}
    assert len(repository.pulls) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("run", "-c", "true"), 2, "name a repository (owner/repo), or run this in a clone of one"),
        (("run", "acme/widgets"), 2, "exactly one of --command, --prompt and --file"),
        (("run", "acme/widgets", "-c", "true", "--agent", "x"), 2, "need a --prompt"),
        (("run", "acme/widgets", "-c", "true", "--publish", "nothing"), 2, "publish.mode"),
        (("run", "acme/widgets", "--file", "none.sh"), 2, "none.sh: cannot be read"),
        (("run", "acme/widgets", "-c", "true", "--env", "X"), 2, "write NAME=VALUE"),
        (("show",), 2, "this folder is not a clone of a repository"),
        (("show", "0000zzzz"), 2, "no session's id begins with 0000zzzz"),
        (("show", "../x"), 2, "names no session"),
        (("run", "--repos", "none.txt", "-c", "true"), 2, "none.txt: cannot be read"),
    ],
)
async def test_a_wrong_request_is_a_sentence(
    terminal: Terminal, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    out = await terminal(*arguments, code=code)
    assert sentence in out
    assert "Traceback" not in out


async def test_others_sessions_are_not_there(there: Rig, terminal: Terminal, tmp_path: Path) -> None:
    repository = await there.repository()
    made = (await terminal.documents("run", repository.full_name, "-c", "true"))[0]
    (tmp_path / "bob").mkdir()
    bob = Terminal(there, tmp_path / "bob", subject="bob")
    name = made["session_id"] if "session_id" in made else made["id"]
    for words in (("show",), ("logs",), ("cancel",), ("diff",)):
        assert "no such session" in (await bob(words[0], name, code=2)).lower()
    await terminal("cancel", name)


async def test_signing_in_and_out(there: Rig, terminal: Terminal, tmp_path: Path) -> None:
    nobody: dict[str, Any] = {"GITWARD_JWT": "", "GITWARD_URL": ""}
    assert "gitward login" in await terminal("sessions", code=2, **nobody)
    local = {**nobody, "GITWARD_DATA_DIR": str(there.data)}
    out = await terminal("login", there.url, **local)
    file = tmp_path / "config" / "gitward" / "login.json"
    assert str(file) in out
    assert file.stat().st_mode & 0o777 == 0o600
    await terminal("sessions", **nobody)
    assert "401" not in await terminal("sessions", code=2, GITWARD_JWT="a.b.c", GITWARD_URL=there.url)
    assert "signed out" in await terminal("logout", **nobody)
    assert not file.exists()


async def test_a_person_signs_in_by_the_browser_of_this_machine(tmp_path: Path) -> None:
    """At a real issuer, for a real service; the browser is a program that notes the address, as BROWSER names it."""
    told = {"client_id": "gitward", "client_secret": None, "redirect_uri": "http://127.0.0.1/callback"}
    client = {"application_type": "native", "grant_types": ["authorization_code"]}
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}.new && mv {opened}.new {opened}\n')
    browser.chmod(0o700)
    async with (
        real_issuer(tmp_path, **told, post_logout_redirect_uri="https://gitward.example/y", client=client) as issuer,
        warm_rig(GITWARD_OIDC_ISSUERS=issuer.url, GITWARD_REPOS="acme/*") as service,
    ):
        person = Terminal(service, tmp_path)
        person.environment |= {"GITWARD_JWT": "", "GITWARD_URL": "", "BROWSER": str(browser)}
        arguments = ("login", service.url, "--issuer", issuer.url, "--browser")
        login = asyncio.create_task(gitward(*arguments, cwd=tmp_path, **person.environment))
        await until(opened.exists, "a browser", seconds=FINISHED)
        address = opened.read_text()
        back = parse_qs(urlsplit(address).query)["redirect_uri"][0]
        async with httpx2.AsyncClient(trust_env=False) as at:
            assert (await at.get(await consent(at, address, "alice", back))).status_code == 200
        code, out, err = await login
        assert (code, err) == (0, ""), (out, err)
        assert "signed in at" in out
        assert "eyJ" not in out
        _, me, _ = await gitward("whoami", "--json", cwd=tmp_path, **person.environment)
        assert json.loads(me)["subject"] == "alice"
        code, _, err = await gitward("login", service.url, "--browser", cwd=tmp_path, **person.environment)
        assert (code, "--issuer" in err) == (2, True)


async def test_a_service_that_is_away_is_told_with_its_own_code(terminal: Terminal) -> None:
    out = await terminal("sessions", code=4, GITWARD_URL="http://127.0.0.1:9")
    assert "gitward serve" in out
