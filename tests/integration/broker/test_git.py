"""Real git through the real broker process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitward.broker import OpenGrant
from gitward_standin import StandIn, Token

from .conftest import BRANCH, TOKEN, Events
from .rig import Inside, commit, peak_memory

URL = "https://github.com/octo/demo"
ONLY = f"(this session may only push to {BRANCH})"
MEGABYTE = 1024 * 1024


@pytest.fixture
async def checkout(tools: Inside) -> Path:
    """A clone on the session's branch, with one commit to push."""
    await tools.ok("git", "clone", "-q", URL, "demo")
    checkout = tools.home / "demo"
    await tools.ok("git", "checkout", "-q", "-b", BRANCH, cwd=checkout)
    await commit(tools, checkout, "a.txt", b"a")
    return checkout


def pushes(github: StandIn) -> int:
    """How many pushes (not probes) arrived upstream."""
    return sum(request.method == "POST" and request.path.endswith("/git-receive-pack") for request in github.requests)


async def test_the_sessions_branch_is_pushed(tools: Inside, checkout: Path, github: StandIn, events: Events) -> None:
    """The worker is told so once upstream took it; also of a forced one."""
    head = (await tools.ok("git", "rev-parse", "HEAD", cwd=checkout)).strip()
    result = await tools.git("push", "origin", BRANCH, cwd=checkout)
    assert result.status == 0, result
    (made,) = await events.wait(1)
    ref = f"refs/heads/{BRANCH}"
    assert (made.type, made.data) == ("branch.pushed", {"ref": ref, "old": "0" * 40, "new": head})
    await tools.ok("git", "commit", "-q", "--amend", "-m", "again", cwd=checkout)
    await tools.ok("git", "push", "-q", "--force", "origin", BRANCH, cwd=checkout)
    forced = (await events.wait(2))[1]
    assert forced.data["old"] == head
    assert await tools.ok("git", "ls-remote", URL, ref) == f"{forced.data['new']}\t{ref}\n"
    assert await tools.ok("git", "-C", str(checkout), "fetch", "--dry-run", "origin") == ""


async def test_another_ref_is_refused_with_gits_own_words(
    tools: Inside, checkout: Path, github: StandIn, events: Events
) -> None:
    cases = {
        "HEAD:main": [f"HEAD -> main {ONLY}"],
        "HEAD:refs/tags/v1": [f"HEAD -> v1 {ONLY}"],
        f"{BRANCH} HEAD:other": [f"{BRANCH} -> {BRANCH} {ONLY}", f"HEAD -> other {ONLY}"],
        ":main": [f"main {ONLY}"],
    }
    for count, (refspecs, lines) in enumerate(cases.items(), start=1):
        result = await tools.git("push", "origin", *refspecs.split(), cwd=checkout)
        assert result.status == 1
        rejected = [" ".join(line.split()) for line in result.err.splitlines() if "rejected]" in line]
        assert rejected == [f"! [remote rejected] {line}" for line in lines]
        event = (await events.wait(count))[-1]
        assert (event.type, event.data["rule"]) == ("policy.denied", "git.push.ref")
        assert event.data["message"].endswith(f": {ONLY[1:-1]}")
    assert pushes(github) == 0


async def test_a_delete_of_the_own_branch_is_refused(
    tools: Inside, checkout: Path, github: StandIn, events: Events
) -> None:
    await tools.ok("git", "push", "-q", "origin", BRANCH, cwd=checkout)
    result = await tools.git("push", "origin", f":{BRANCH}", cwd=checkout)
    assert result.status == 1
    assert f"! [remote rejected] {BRANCH} (this session may not delete a branch)" in result.err
    assert pushes(github) == 1
    assert [event.type for event in await events.wait(2)] == ["branch.pushed", "policy.denied"]


async def test_another_repository_is_refused(tools: Inside, checkout: Path, github: StandIn, events: Events) -> None:
    seen = len(github.requests)
    for count, (argv, message) in enumerate(
        [
            (["clone", "https://github.com/octo/other"], "this session may only fetch from octo/demo"),
            (["push", "https://github.com/octo/other", "HEAD:main"], "this session may only push to octo/demo"),
            (["ls-remote", "https://github.com/octo"], "only git's fetch and push are allowed on this host"),
        ],
        start=1,
    ):
        result = await tools.git(*argv, cwd=checkout)
        assert result.status == 128
        assert f"remote: Gitward: {message}" in result.err
        assert message in (await events.wait(count))[-1].data["message"]
    assert len(github.requests) == seen


async def test_a_big_push_streams(
    tools: Inside, checkout: Path, opened: OpenGrant, github: StandIn, events: Events
) -> None:
    """100 MB go up and come down again; the broker's memory does not grow with them."""
    await commit(tools, checkout, "noise", os.urandom(100 * MEGABYTE))
    assert opened.pid is not None
    before = peak_memory(opened.pid)
    result = await tools.git("push", "origin", BRANCH, cwd=checkout)
    assert result.status == 0, result
    assert (await events.wait(1))[0].type == "branch.pushed"
    assert pushes(github) == 2  # git's probe, and the push
    await tools.ok("git", "clone", "-q", "--branch", BRANCH, URL, "again")
    assert (tools.home / "again" / "noise").stat().st_size == 100 * MEGABYTE
    assert peak_memory(opened.pid) - before < 20 * MEGABYTE


async def test_a_big_push_to_another_branch_is_refused_readably(
    tools: Inside, checkout: Path, opened: OpenGrant, github: StandIn
) -> None:
    await commit(tools, checkout, "noise", os.urandom(50 * MEGABYTE))
    assert opened.pid is not None
    before = peak_memory(opened.pid)
    result = await tools.git("push", "origin", "HEAD:main", cwd=checkout)
    assert result.status == 1, result
    assert f"! [remote rejected] HEAD -> main {ONLY}" in result.err
    assert pushes(github) == 1  # git's probe
    assert peak_memory(opened.pid) - before < 20 * MEGABYTE


async def test_every_kind_of_clone(tools: Inside) -> None:
    for number, options in enumerate(
        [
            ["-c", "protocol.version=0", "clone"],
            ["-c", "protocol.version=1", "clone"],
            ["-c", "protocol.version=2", "clone"],
            ["clone", "--depth=1"],
            ["clone", "--filter=blob:none"],
            ["clone", "--single-branch"],
        ]
    ):
        await tools.ok("git", *options, "-q", URL, f"demo{number}")
        await tools.ok("git", "fetch", "-q", cwd=tools.home / f"demo{number}")


async def test_a_long_question_of_a_fetch_is_compressed(tools: Inside, github: StandIn) -> None:
    """git's own: with many commits that the other side may have too."""
    await tools.ok("git", "clone", "-q", URL, "demo")
    checkout = tools.home / "demo"
    for second in range(40):  # one after the other: those of one second might be asked about in any order
        tools.env["GIT_COMMITTER_DATE"] = f"{4_000_000_000 + second} +0000"
        await tools.ok("git", "commit", "-q", "--allow-empty", "-m", "x", cwd=checkout)
    await github.repository("octo/demo").commit("main", {"b.txt": "b"})
    github.requests.clear()
    await tools.ok("git", "fetch", "-q", "origin", cwd=checkout)
    assert any(request.headers.get("content-encoding") == "gzip" for request in github.requests)
    assert await tools.ok("git", "show", "origin/main:b.txt", cwd=checkout) == "b"


async def test_git_lfs_does_not_stop_a_plain_push(tools: Inside, checkout: Path) -> None:
    """With its hooks git asks LFS before every push; a repository without LFS objects is pushed all the same."""
    await tools.ok("git", "lfs", "install", "--local", cwd=checkout)
    result = await tools.git("push", "origin", BRANCH, cwd=checkout)
    assert result.status == 0, result


async def test_a_credential_is_asked_for(tools: Inside, github: StandIn, events: Events) -> None:
    """Without one git is told to authenticate; a wrong one is refused, and the worker hears of it."""
    (tools.home / ".git-credentials").unlink()
    without = await tools.git("clone", URL, "demo")
    assert without.status == 128
    assert "terminal prompts disabled" in without.err
    tools.present("ghp_wrong")
    wrong = await tools.git("clone", URL, "demo")
    assert wrong.status == 128
    assert "Gitward: this is not the credential of this session" in wrong.err
    assert (await events.wait(1))[0].data["rule"] == "credential"
    assert github.requests == []


async def test_upstreams_refusal_passes(tools: Inside, checkout: Path, opened: OpenGrant, github: StandIn) -> None:
    """A token that upstream refuses is upstream's to explain."""
    github.add_token(TOKEN, Token(login="dev", push=False))
    result = await tools.git("push", "origin", BRANCH, cwd=checkout)
    assert result.status != 0
    assert "Gitward" not in result.err
    assert [request.status for request in github.requests[-1:]] == [403]


async def test_upstream_is_gone(tools: Inside, github: StandIn) -> None:
    await github.stop()
    result = await tools.git("clone", URL, "demo")
    assert result.status == 128
    assert "remote: Gitward: GitHub could not be reached from the worker; try again later" in result.err
