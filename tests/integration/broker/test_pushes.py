"""Every kind of push that git can make of the session's branch, when packs stream and when they are looked at."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import pytest

from gitward.broker import Brokers, OpenGrant
from gitward.grants.grant import Grant
from gitward.secrets import Secret
from gitward_standin import StandIn

from .conftest import BRANCH, REPOSITORY, TOKEN, Events, new_grant
from .rig import Inside, commit
from .scripted import Scripted

URL = f"https://github.com/{REPOSITORY}"
KINDS: tuple[tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]], ...] = (
    ((), ("-c", "protocol.version=0"), ()),
    ((), ("-c", "protocol.version=1"), ()),
    ((), ("-c", "protocol.version=2"), ()),
    ((), ("-c", "http.postBuffer=1000"), ()),  # a probe first, then chunks
    ((), (), ("--push-option=ci.skip", "-o", "ci.skip")),
    ((), (), ("--force",)),
    ((), (), ("--force-with-lease", "--force-if-includes")),
    ((), (), ("--atomic", "--no-thin", "--progress")),
    (("--depth=1",), (), ()),
    (("--filter=blob:none",), (), ()),
    (("--filter=tree:0", "--single-branch"), (), ()),
)  # options of the clone, of git, of the push


@pytest.fixture(params=[True, False], ids=["streamed", "looked at"])
async def grant(request: pytest.FixtureRequest, github: StandIn) -> Grant:
    main = await github.repository(REPOSITORY).head("main")
    return replace(new_grant(allow_workflows=request.param), target_branch="main", target_sha=main)


@pytest.fixture
def scripted(folder: Path) -> Scripted:
    return Scripted(folder)


@pytest.fixture
async def opened(broker: Brokers, grant: Grant, events: Events, scripted: Scripted) -> OpenGrant:
    return await broker.open(grant, Secret(TOKEN), events, scripted)


async def test_every_kind_of_push(tools: Inside, github: StandIn, grant: Grant, scripted: Scripted) -> None:
    repository = github.repository(REPOSITORY)
    for number, (cloning, options, pushing) in enumerate(KINDS):
        checkout = tools.home / f"demo{number}"
        await tools.ok("git", "clone", "-q", *cloning, URL, checkout.name)
        await tools.ok("git", "checkout", "-q", "-b", BRANCH, cwd=checkout)
        head = await commit(tools, checkout, "a.txt", b"%d " % number * 1000)
        if "--force" in pushing:
            await tools.ok("git", "push", "-q", "origin", BRANCH, cwd=checkout)
            await tools.ok("git", "commit", "-q", "--amend", "-m", "again", cwd=checkout)
            head = (await tools.ok("git", "rev-parse", "HEAD", cwd=checkout)).strip()
        result = await tools.git(*options, "push", *pushing, "origin", BRANCH, cwd=checkout)
        assert result.status == 0, (options, pushing, result)
        assert await repository.head(BRANCH) == head
        await repository.run_git("update-ref", "-d", f"refs/heads/{BRANCH}")
    assert scripted.looking.is_set() is not grant.allow_workflows


async def test_a_push_that_was_compressed(tools: Inside, opened: OpenGrant, github: StandIn, events: Events) -> None:
    """git compresses what it asks of a fetch only; other clients compress pushes too."""
    await tools.ok("git", "clone", "-q", URL, "demo")
    checkout = tools.home / "demo"
    head = await commit(tools, checkout, "a.txt", b"a")
    (tools.home / "revisions").write_text(f"{head}\n^origin/main\n")
    await tools.ok("bash", "-c", "git pack-objects --revs --stdout -q <../revisions >../pack", cwd=checkout)
    line = f"{'0' * 40} {head} refs/heads/{BRANCH}\0report-status".encode()
    body = b"%04x" % (len(line) + 4) + line + b"0000" + (tools.home / "pack").read_bytes()
    (tools.home / "body").write_bytes(gzip.compress(body))
    answer = await tools.ok(
        *("curl", "-sS", "-u", f"x:{opened.credential}", "--data-binary", "@body", "-H", "Content-Encoding: gzip"),
        *("-H", "Content-Type: application/x-git-receive-pack-request", f"{URL}.git/git-receive-pack"),
    )
    assert f"ok refs/heads/{BRANCH}" in answer
    assert await github.repository(REPOSITORY).head(BRANCH) == head
    assert (await events.wait(1))[0].type == "branch.pushed"
