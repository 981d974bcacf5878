"""Real git-lfs through the real broker process, against signed storage addresses."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from gitward.broker import OpenGrant
from gitward.grants.grant import Grant
from gitward_standin import StandIn

from .conftest import BRANCH, TOKEN, Events
from .rig import Inside, commit, peak_memory
from .wire import GIT_HOST, wired

URL = "https://github.com/octo/demo"
MEGABYTE = 1024 * 1024


@pytest.fixture
async def checkout(tools: Inside) -> Path:
    """A clone on the session's branch in which *.bin is LFS's."""
    await tools.ok("git", "lfs", "install", "--skip-repo")
    await tools.ok("git", "clone", "-q", URL, "demo")
    checkout = tools.home / "demo"
    await tools.ok("git", "lfs", "install", "--local", cwd=checkout)
    await tools.ok("git", "checkout", "-q", "-b", BRANCH, cwd=checkout)
    await tools.ok("git", "lfs", "track", "*.bin", cwd=checkout)
    await tools.ok("git", "add", ".gitattributes", cwd=checkout)
    return checkout


def stored(github: StandIn, oid: str) -> Path:
    return github.repository("octo/demo").path / "lfs/objects" / oid[:2] / oid[2:4] / oid


async def test_push_and_pull(tools: Inside, checkout: Path, github: StandIn, opened: OpenGrant, events: Events) -> None:
    """50 MB go up and come down: the broker's memory does not grow, and no signature gets inside."""
    content = os.urandom(50 * MEGABYTE)
    oid = hashlib.sha256(content).hexdigest()
    await commit(tools, checkout, "big.bin", content)
    assert opened.pid is not None
    before = peak_memory(opened.pid)
    tools.env["GIT_CURL_VERBOSE"] = tools.env["GIT_TRACE"] = "1"
    pushed = await tools.git("push", "origin", BRANCH, cwd=checkout)
    assert pushed.status == 0, pushed
    assert stored(github, oid).read_bytes() == content
    again = await tools.git("clone", "--branch", BRANCH, URL, "again")
    assert again.status == 0, again
    assert (tools.home / "again" / "big.bin").read_bytes() == content
    assert peak_memory(opened.pid) - before < 20 * MEGABYTE
    assert "/info/lfs/gitward/" in pushed.err + again.err
    for secret in ("X-Amz-Signature", "RemoteAuth", TOKEN):
        assert secret not in pushed.err + again.err
    transfers = [request for request in github.requests if request.path.startswith("/_lfs/")]
    assert {request.method for request in transfers} == {"PUT", "POST", "GET"}
    for request in transfers:
        assert request.headers["authorization"].startswith("RemoteAuth ")
        assert TOKEN not in str(request.raw_headers)
    assert [event.type for event in events.all] == ["branch.pushed"]


async def test_pull_alone(tools: Inside, checkout: Path) -> None:
    await commit(tools, checkout, "a.bin", b"one")
    await commit(tools, checkout, "b.bin", b"two")
    await tools.ok("git", "push", "-q", "origin", BRANCH, cwd=checkout)
    tools.env["GIT_LFS_SKIP_SMUDGE"] = "1"
    await tools.ok("git", "clone", "-q", "--branch", BRANCH, URL, "again")
    again = tools.home / "again"
    assert (again / "a.bin").read_text().startswith("version https://git-lfs")
    del tools.env["GIT_LFS_SKIP_SMUDGE"]
    await tools.ok("git", "lfs", "pull", cwd=again)
    assert ((again / "a.bin").read_bytes(), (again / "b.bin").read_bytes()) == (b"one", b"two")


async def test_a_refusal_is_readable(tools: Inside, checkout: Path, events: Events, github: StandIn) -> None:
    await commit(tools, checkout, "a.bin", b"one")
    seen = len(github.requests)
    other = await tools.git("-c", "lfs.url=https://github.com/octo/other.git/info/lfs", "lfs", "push", "origin", BRANCH,
                            cwd=checkout)  # fmt: skip
    assert other.status != 0
    assert "Gitward: this session may only use the LFS objects of octo/demo" in other.err
    lock = await tools.git("lfs", "lock", "a.bin", cwd=checkout)
    assert lock.status != 0
    assert "Gitward: this session may not lock or unlock files" in lock.out + lock.err
    rules = {event.data["rule"] for event in await events.wait(2)}
    assert rules == {"lfs.repository", "lfs.lock"}
    assert {request.path.partition("/info/")[0] for request in github.requests[seen:]} <= {
        "/octo/demo.git",
        "/octo/demo.git/git-upload-pack",
    }


def action(answer: bytes, name: str) -> str:
    """The path of an action's address."""
    href: str = json.loads(answer)["objects"][0]["actions"][name]["href"]
    return href[href.index("/octo/") :]


async def test_an_address_is_good_once_and_only_for_its_run(github: StandIn, grant: Grant) -> None:
    content = b"content"
    oid = hashlib.sha256(content).hexdigest()
    body = json.dumps({"operation": "upload", "objects": [{"oid": oid, "size": len(content)}]}).encode()
    async with (
        wired(github.url, github.api_url, grant, TOKEN) as wire,
        wired(github.url, github.api_url, grant, TOKEN) as neighbour,
    ):
        batch = "POST /octo/demo.git/info/lfs/objects/batch"
        path = action((await wire.ask(batch, host=GIT_HOST, body=body)).body, "upload")
        assert (await neighbour.ask(f"PUT {path}", host=GIT_HOST, body=content)).status == 403
        assert (await wire.ask(f"PUT {path}", host=GIT_HOST, body=content, auth=False)).status == 401
        assert (await wire.ask(f"GET {path}", host=GIT_HOST)).status == 403
        assert (await wire.ask(f"PUT {path}", host=GIT_HOST, body=content)).status == 200
        assert stored(github, oid).read_bytes() == content
        assert (await wire.ask(f"PUT {path}", host=GIT_HOST, body=content)).status == 403
        assert wire.rules == ["lfs.address"] * 2


async def test_a_length_without_a_body_does_not_go_on(github: StandIn, grant: Grant) -> None:
    """The storage would take as much of the next request, which may be of another kind, for the body of this one."""
    content = b"content"
    oid = hashlib.sha256(content).hexdigest()
    batch = "POST /octo/demo.git/info/lfs/objects/batch"
    async with wired(github.url, github.api_url, grant, TOKEN) as wire:
        for operation, line in (("upload", "PUT"), ("download", "GET")):
            body = json.dumps({"operation": operation, "objects": [{"oid": oid, "size": len(content)}]}).encode()
            path = action((await wire.ask(batch, host=GIT_HOST, body=body)).body, operation)
            assert (await wire.ask(f"{line} {path}", host=GIT_HOST, body=content)).status == 200
    put, get = (request for request in github.requests if request.path.startswith("/_lfs/"))
    assert put.headers["content-length"] == "7"
    assert "content-length" not in get.headers


async def test_a_body_of_ours_has_our_type(github: StandIn, grant: Grant) -> None:
    """Another one would have a server read a form in it."""
    body = json.dumps({"operation": "download", "objects": [{"oid": "a" * 64, "size": 1}]}).encode()
    async with wired(github.url, github.api_url, grant, TOKEN) as wire:
        for path in ("objects/batch", "locks/verify"):
            asked = "Content-Type: application/x-www-form-urlencoded"
            await wire.ask(f"POST /octo/demo.git/info/lfs/{path}", asked, host=GIT_HOST, body=body)
    sent = [request for request in github.requests if "/info/lfs/" in request.path]
    assert [request.headers["content-type"] for request in sent] == ["application/vnd.git-lfs+json"] * 2


async def test_the_storage_explains_nothing_and_leads_nowhere(github: StandIn, grant: Grant) -> None:
    """A refusal of the storage may repeat the signature, a redirect may lead to the host's own network."""
    oid = "a" * 64
    body = json.dumps({"operation": "upload", "objects": [{"oid": oid, "size": 1}]}).encode()
    batch = "POST /octo/demo.git/info/lfs/objects/batch"
    async with wired(github.url, github.api_url, grant, TOKEN) as wire:
        for status in (403, 307):
            path = action((await wire.ask(batch, host=GIT_HOST, body=body)).body, "upload")
            headers = {"Location": f"{github.url}/octo/other"}
            github.fault(path="/_lfs/*", status=status, body=b"X-Amz-Signature", headers=headers)
            answer = await wire.ask(f"PUT {path}", host=GIT_HOST, body=b"x")
            message = {"message": f"Gitward: the storage of the LFS object answered {status}"}
            assert (answer.status, json.loads(answer.body)) == (502, message)
            assert "location" not in answer.headers
        for malformed in (
            b"[]",
            b'{"objects":[{"oid":"a","size":1,"actions":{"upload":{"href":"http://10.0.0.1/"}}}]}',
        ):
            github.fault(path="*/objects/batch", status=200, body=malformed)
            answer = await wire.ask(batch, host=GIT_HOST, body=body)
            assert (answer.status, json.loads(answer.body)) == (
                502,
                {"message": "Gitward: GitHub's answer could not be read"},
            )
        assert not any(request.path == "/octo/other" for request in github.requests)
