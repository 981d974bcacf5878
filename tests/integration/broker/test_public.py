"""GITWARD_PUBLIC_READ: public repositories are fetched as anybody would, and private ones are not."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from gitward.broker import OpenGrant
from gitward.grants.grant import Grant
from gitward_standin import StandIn

from .conftest import BRANCH, Events, new_grant
from .rig import Inside, commit

PUBLIC = "https://github.com/octo/public"
CONTENT = b"a large file\n"
OID = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def grant() -> Grant:
    return replace(new_grant(), public_read=True)


@pytest.fixture
async def sources(github: StandIn) -> StandIn:
    """A public repository with an LFS object; the private octo/other can be read with the token."""
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize {len(CONTENT)}\n"
    files = {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "a.bin": pointer, "a.txt": "a\n"}
    await github.add_repository("octo/public", private=False, files=files, permissions={"dev": "push"})
    stored = github.repository("octo/public").path / "lfs/objects" / OID[:2] / OID[2:4] / OID
    stored.parent.mkdir(parents=True)
    stored.write_bytes(CONTENT)
    github.requests.clear()
    return github


def sent_without_token(github: StandIn) -> bool:
    """Of all that arrived; LFS storage has signatures of its own."""
    return not any("authorization" in request.headers for request in github.requests if "/_lfs/" not in request.path)


async def test_public_repositories_are_fetched_without_a_token(tools: Inside, sources: StandIn, events: Events) -> None:
    await tools.ok("git", "lfs", "install", "--skip-repo")
    for number, options in enumerate(
        [("clone",), ("-c", "protocol.version=0", "clone"), ("clone", "--depth=1"), ("clone", "--filter=blob:none")]
    ):
        await tools.ok("git", *options, "-q", PUBLIC, f"public{number}")
        await tools.ok("git", "fetch", "-q", cwd=tools.home / f"public{number}")
        assert (tools.home / f"public{number}" / "a.bin").read_bytes() == CONTENT
    assert sources.requests
    assert sent_without_token(sources)
    assert events.all == []


async def test_what_is_not_public_stays_hidden(tools: Inside, sources: StandIn, events: Events) -> None:
    """Though the token could read octo/other. A repository that does not exist is answered alike."""
    for count, name in enumerate(("octo/other", "octo/nowhere"), start=1):
        result = await tools.git("clone", f"https://github.com/{name}")
        assert result.status == 128
        message = f"this session may only fetch from octo/demo and public repositories; {name} is not public"
        assert f"remote: Gitward: {message}" in result.err
        event = (await events.wait(count))[-1]
        assert event.data["rule"] == "git.fetch.public"
        assert event.data["message"].endswith(f": {message}")
    assert sources.requests
    assert sent_without_token(sources)


async def test_public_repositories_are_never_written(tools: Inside, sources: StandIn, events: Events) -> None:
    await tools.ok("git", "lfs", "install", "--skip-repo")
    await tools.ok("git", "clone", "-q", PUBLIC, "public")
    checkout = tools.home / "public"
    await tools.ok("git", "checkout", "-q", "-b", BRANCH, cwd=checkout)
    await commit(tools, checkout, "b.bin", b"more")
    sources.requests.clear()
    pushed = await tools.git("push", "--no-verify", "origin", BRANCH, cwd=checkout)
    assert pushed.status == 128
    assert "remote: Gitward: this session may only push to octo/demo" in pushed.err
    uploaded = await tools.git("-c", "lfs.locksverify=false", "lfs", "push", "origin", BRANCH, cwd=checkout)
    assert uploaded.status != 0
    assert "Gitward: this session may only upload LFS objects to octo/demo" in uploaded.err
    locked = await tools.run("git", "lfs", "locks", cwd=checkout)
    assert "Gitward: this session may only use the LFS objects of octo/demo" in locked.err + locked.out
    rules = {event.data["rule"] for event in await events.wait(3)}
    assert rules == {"git.push.repository", "lfs.upload.repository", "lfs.repository"}
    paths = [request.path for request in sources.requests if request.method == "POST"]
    assert set(paths) <= {"/octo/public.git/git-upload-pack"}


async def test_objects_of_private_repositories_stay_hidden(tools: Inside, sources: StandIn, events: Events) -> None:
    tools.env["GIT_LFS_SKIP_SMUDGE"] = "1"
    await tools.ok("git", "clone", "-q", PUBLIC, "public")
    result = await tools.run(
        *("git", "-c", "lfs.url=https://github.com/octo/other.git/info/lfs", "lfs", "fetch", "--all"),
        cwd=tools.home / "public",
    )
    message = "this session may only download LFS objects of octo/demo and public repositories; octo/other is not"
    assert f"Gitward: {message}" in result.err + result.out
    assert (await events.wait(1))[0].data["rule"] == "lfs.public"
    assert sent_without_token(sources)


async def test_a_redirect_is_not_followed(tools: Inside, sources: StandIn, events: Events) -> None:
    """Neither to another host nor to the new name of a renamed repository, which git would not take up."""
    for count, base in enumerate((sources.url, "http://127.0.0.2:1"), start=1):
        location = {"Location": f"{base}/octo/public.git/info/refs?service=git-upload-pack"}
        sources.fault(path="/octo/old.git/info/refs", status=301, headers=location)
        result = await tools.git("clone", "-q", "https://github.com/octo/old")
        assert result.status == 128
        assert "remote: Gitward: octo/old has moved on GitHub; use its new name" in result.err
        assert (await events.wait(count))[-1].data["rule"] == "git.fetch.public"
    assert [request.path for request in sources.requests] == ["/octo/old.git/info/refs"] * 2
    assert sent_without_token(sources)


async def test_a_name_that_is_none_goes_nowhere(tools: Inside, opened: OpenGrant, sources: StandIn) -> None:
    for path in ("octo/..", "octo/a%20b", "octo/a%2fb", "oc%74o/pub+lic", "octo/%2e%2e", "octo/pub~lic"):
        answer = await tools.ok(
            *("curl", "-sS", "--path-as-is", "-u", f"x:{opened.credential}", "-o", "/dev/null", "-w", "%{http_code}"),
            f"https://github.com/{path}.git/info/refs?service=git-upload-pack",
        )
        assert answer in {"400", "403"}
    assert sources.requests == []


class TestWithoutTheSetting:
    @pytest.fixture
    def grant(self) -> Grant:
        return new_grant()

    async def test_only_listed_repositories_are_fetched(self, tools: Inside, sources: StandIn, events: Events) -> None:
        result = await tools.git("clone", PUBLIC)
        assert result.status == 128
        assert "remote: Gitward: this session may only fetch from octo/demo\n" in result.err
        assert (await events.wait(1))[0].data["rule"] == "git.fetch.repository"
        assert sources.requests == []
