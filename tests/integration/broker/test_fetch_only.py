"""A grant that makes or refreshes a mirror: it fetches its own repository, and nothing else."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest

from gitward.broker import OpenGrant
from gitward.grants.grant import ExactPush, Grant
from gitward_standin import StandIn

from .conftest import BRANCH, TOKEN, Events, new_grant
from .rig import Inside, commit
from .test_publishing import BATCH, OID, REF, ZERO, batch, command, ours
from .wire import GIT_HOST, wired

URL = "https://github.com/octo/demo"
ONLY = "this access may only fetch octo/demo and download its LFS objects"


@pytest.fixture
def grant() -> Grant:
    """What else it names does not count."""
    return dataclasses.replace(new_grant(readable=("octo/other",)), fetch_only=True, public_read=True)


async def test_a_mirror_is_made_and_refreshed(tools: Inside, opened: OpenGrant, github: StandIn) -> None:
    ours(tools, opened.credential)
    for version in "012":
        await tools.ok("git", "-c", f"protocol.version={version}", "clone", "-q", "--bare", URL, f"mirror{version}")
    head = await github.repository("octo/demo").commit("main", {"new": "new"}, message="new")
    mirror = tools.home / "mirror2"
    await tools.ok("git", "fetch", "-q", "origin", "+refs/heads/*:refs/heads/*", cwd=mirror)
    assert (await tools.ok("git", "rev-parse", "main", cwd=mirror)).strip() == head


async def test_objects_of_lfs_are_downloaded(tools: Inside, opened: OpenGrant, github: StandIn) -> None:
    store = github.repository("octo/demo").path / "lfs/objects" / OID[:2] / OID[2:4]
    store.mkdir(parents=True)
    (store / OID).write_bytes(b"large")
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize 5\n"
    await github.repository("octo/demo").commit(
        "main", {"a.bin": pointer, ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"}, message="large"
    )
    ours(tools, opened.credential)
    await tools.ok("git", "lfs", "install", "--skip-repo")
    await tools.ok("git", "clone", "-q", URL, "demo")
    assert (tools.home / "demo" / "a.bin").read_bytes() == b"large"


async def test_a_push_is_refused_with_a_sentence(tools: Inside, opened: OpenGrant, events: Events) -> None:
    ours(tools, opened.credential)
    await tools.ok("git", "clone", "-q", URL, "demo")
    checkout: Path = tools.home / "demo"
    await commit(tools, checkout, "a.txt", os.urandom(10))
    result = await tools.git("push", "origin", f"HEAD:{REF}", cwd=checkout)
    assert (result.status, f"Gitward: {ONLY}" in result.err) == (128, True)
    assert (await events.wait(1))[0].data["rule"] == "fetch.only"
    with pytest.raises(ValueError, match=f"push of refs/heads/{BRANCH}"):
        await opened.narrow(ExactPush(old=ZERO, new="1" * 40, ref=REF))


REFUSED: list[tuple[str, str, bytes]] = [
    ("api.github.test", "GET /user", b""),
    ("api.github.test", "POST /graphql", b'{"query": "{ viewer { login } }"}'),
    (GIT_HOST, "GET /octo/other/info/refs?service=git-upload-pack", b""),
    (GIT_HOST, "GET /torvalds/linux/info/refs?service=git-upload-pack", b""),
    (GIT_HOST, "GET /octo/demo/info/refs?service=git-receive-pack", b""),
    (GIT_HOST, "POST /octo/demo/git-receive-pack", command(f"{ZERO} {'1' * 40} {REF}")),
    (GIT_HOST, f"POST {BATCH}", batch("upload", OID)),
    (GIT_HOST, f"POST {BATCH}".replace("demo", "other"), batch("download", OID)),
    (GIT_HOST, "POST /octo/demo.git/info/lfs/locks/verify", b"{}"),
]


@pytest.mark.parametrize(("host", "line", "body"), REFUSED)
async def test_everything_else_is_refused(github: StandIn, grant: Grant, host: str, line: str, body: bytes) -> None:
    async with wired(github.url, github.api_url, grant, TOKEN) as wire:
        answer = await wire.ask(line, host=host, body=body)
        assert ONLY.encode() in answer.body
        assert await wire.denied(1) == ["fetch.only"]
    assert github.requests == []


async def test_in_login_mode_it_takes_the_credential_and_hides_the_token(github: StandIn, grant: Grant) -> None:
    line = f"POST {BATCH}"
    body = json.dumps({"objects": [{"oid": OID, "size": 5, "error": {"code": 404, "message": TOKEN}}]}).encode()
    async with wired(github.url, github.api_url, grant, TOKEN, login=True) as wire:
        token = f"Authorization: token {TOKEN}"
        assert (await wire.ask(line, token, host=GIT_HOST, body=batch("download", OID), auth=False)).status == 401
        github.fault(path="*/objects/batch", status=200, body=body)
        answer = await wire.ask(line, host=GIT_HOST, body=batch("download", OID))
        assert (answer.status, TOKEN.encode() in answer.body) == (200, False)
