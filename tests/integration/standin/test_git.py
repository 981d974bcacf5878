"""Real git clones from the stand-in and pushes to it, and prints what it prints with GitHub."""

from __future__ import annotations

import asyncio
import base64
import gzip
import os
import random
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gitward_standin import Repository, StandIn, Token, TokenKind

Client = Any  # the fixture's class lives in conftest.py
SECOND = "second-token"
BASIC = "Basic " + base64.b64encode(b"x:ghp_octocat0000000000000000000000000000").decode()
BIG = 20 * 1024 * 1024  # bytes


class TestClone:
    @pytest.mark.parametrize("name", ["octo-org/demo", "octo-org/demo.git", "OCTO-org/Demo.git"])
    async def test_by_every_spelling(self, git: Client, repository: Repository, name: str) -> None:
        folder = await git.clone(name)
        head = (await git("rev-parse", "HEAD", cwd=folder)).out.strip()
        assert head == await repository.head("main")

    @pytest.mark.parametrize("version", ["0", "1", "2"])
    async def test_by_every_protocol_version(self, git: Client, standin: StandIn, version: str) -> None:
        await git.clone("octo-org/demo", "-c", f"protocol.version={version}")
        sent = [request.headers.get("git-protocol") for request in standin.requests]
        assert set(sent) == {None if version == "0" else f"version={version}"}

    @pytest.mark.parametrize("version", ["0", "2"])
    async def test_shallow_partial_and_by_commit(self, git: Client, repository: Repository, version: str) -> None:
        first = await repository.head("main")
        await repository.commit("main", {"more": "more"})
        protocol = ("-c", f"protocol.version={version}")
        shallow = await git.clone("octo-org/demo", *protocol, "--depth=1")
        assert (await git("rev-list", "--count", "HEAD", cwd=shallow)).out == "1\n"
        partial = await git.clone("octo-org/demo", *protocol, "--filter=blob:none", "--no-checkout")
        missing = (await git("rev-list", "--objects", "--missing=print", "HEAD", cwd=partial)).out
        assert any(line.startswith("?") for line in missing.splitlines())
        await git("fetch", "--quiet", "origin", first, cwd=shallow)

    async def test_an_empty_repository(self, git: Client, standin: StandIn) -> None:
        await standin.add_repository("octocat/empty", files={})
        folder = await git.clone("octocat/empty")
        await git.commit(folder, "a", b"a")
        await git("push", "--quiet", "origin", "HEAD", cwd=folder)
        assert await standin.repository("octocat/empty").head("main")

    async def test_a_public_repository_needs_no_token(self, git: Client, standin: StandIn) -> None:
        await standin.add_repository("octo-org/open", private=False)
        folder = await git.clone("octo-org/open", token=None)
        result = await git("push", "origin", "HEAD:x", cwd=folder, token=None, expect=128)
        assert "could not read Username" in result.err
        assert standin.requests[-1].status == 401


class TestAuthentication:
    async def test_the_challenge(self, standin: StandIn) -> None:
        address = f"{standin.url}/octo-org/demo.git/info/refs?service=git-upload-pack"
        async with aiohttp.ClientSession() as session, session.get(address) as response:
            assert response.status == 401
            assert response.headers["WWW-Authenticate"] == 'Basic realm="GitHub"'
            assert await response.text() == "Repository not found.\n"

    @pytest.mark.parametrize(
        ("token", "full_name", "message"),
        [
            (None, "octo-org/demo", "could not read Username"),
            (SECOND, "octo-org/none", "remote: Repository not found."),
            (SECOND, "octo-org/secret", "remote: Repository not found."),
        ],
    )
    async def test_refusals(
        self, git: Client, standin: StandIn, token: str | None, full_name: str, message: str
    ) -> None:
        await standin.add_repository("octo-org/secret")
        standin.add_token(SECOND, Token(login="octocat"))
        result = await git("ls-remote", f"{git.url}/{full_name}", token=token, expect=128)
        assert message in result.err

    async def test_a_wrong_token(self, git: Client, standin: StandIn) -> None:
        address = standin.url.replace("://", "://x:wrong@")
        result = await git("ls-remote", f"{address}/octo-org/demo", token=None, expect=128)
        assert "remote: Invalid username or token. Password authentication is not supported" in result.err

    async def test_the_token_may_stand_in_the_url(self, git: Client, standin: StandIn) -> None:
        address = standin.url.replace("://", "://ghp_octocat0000000000000000000000000000@")
        await git("ls-remote", f"{address}/octo-org/demo", token=None, environment={"GIT_ASKPASS": "/bin/true"})

    async def test_a_credential_helper_works(self, git: Client) -> None:
        helper = '!f() { echo username=x; echo "password=ghp_octocat0000000000000000000000000000"; }; f'
        result = await git("-c", f"credential.helper={helper}", "ls-remote", f"{git.url}/octo-org/demo", token=None)
        assert "refs/heads/main" in result.out

    async def test_sso(self, git: Client, standin: StandIn) -> None:
        standin.add_token(SECOND, Token(login="octocat", sso_required=True))
        result = await git("ls-remote", f"{git.url}/octo-org/demo", token=SECOND, expect=128)
        assert "remote: The 'octo-org' organization has enabled or enforced SAML SSO." in result.err


class TestPush:
    async def test_a_branch(self, git: Client, repository: Repository) -> None:
        folder = await git.clone()
        head = await git.commit(folder, "new", b"new")
        result = await git("push", "origin", "HEAD:refs/heads/feature/a", cwd=folder)
        assert "[new branch]      HEAD -> feature/a" in result.err
        assert await repository.head("feature/a") == head

    async def test_force_delete_and_options(self, git: Client, repository: Repository) -> None:
        folder = await git.clone()
        await git.commit(folder, "new", b"new")
        await git("push", "origin", "HEAD:refs/heads/x", "--push-option=a=b", cwd=folder)
        await git("commit", "--quiet", "--amend", "-m", "Other", cwd=folder)
        result = await git("push", "origin", "HEAD:refs/heads/x", cwd=folder, expect=1)
        assert "[rejected]" in result.err
        await git("push", "--force", "origin", "HEAD:refs/heads/x", cwd=folder)
        await git("push", "origin", ":refs/heads/x", cwd=folder)
        assert await repository.head("x") is None

    async def test_the_default_branch_stays(self, git: Client, repository: Repository) -> None:
        folder = await git.clone()
        result = await git("push", "origin", ":refs/heads/main", cwd=folder, expect=1)
        assert "refusing to delete the current branch: refs/heads/main" in result.err

    async def test_refs_of_pull_requests_are_closed(self, git: Client) -> None:
        folder = await git.clone()
        result = await git("push", "origin", "HEAD:refs/pull/7/head", cwd=folder, expect=1)
        assert "! [remote rejected] HEAD -> refs/pull/7/head (deny updating a hidden ref)" in result.err

    @pytest.mark.parametrize(
        "token",
        [
            Token(login="octocat", push=False),
            Token(login="octocat", kind=TokenKind.FINE_GRAINED, push=False),
            Token(login="reader"),
        ],
    )
    async def test_without_the_right_to(self, git: Client, standin: StandIn, token: Token) -> None:
        repository = await standin.add_repository("octo-org/other", permissions={"octocat": "push", "reader": "pull"})
        standin.add_token(SECOND, token)
        folder = await git.clone("octo-org/other", token=SECOND)
        result = await git("push", "origin", "HEAD:x", cwd=folder, token=SECOND, expect=128)
        assert f"remote: Permission to octo-org/other.git denied to {token.login}." in result.err
        assert "The requested URL returned error: 403" in result.err
        assert await repository.branches() == {"main": await repository.head("main")}

    async def test_an_archived_repository(self, git: Client, repository: Repository) -> None:
        repository.archived = True
        folder = await git.clone()
        result = await git("push", "origin", "HEAD:x", cwd=folder, expect=128)
        assert "remote: This repository was archived so it is read-only." in result.err

    async def test_a_protected_branch_refuses_and_the_others_pass(self, git: Client, standin: StandIn) -> None:
        repository = await standin.add_repository("octocat/safe", protected=("main", "release"))
        before = await repository.head("main")
        folder = await git.clone("octocat/safe")
        head = await git.commit(folder, "new", b"new")
        result = await git("push", "origin", "HEAD:main", "HEAD:topic", cwd=folder, expect=1)
        assert "remote: error: GH006: Protected branch update failed for refs/heads/main." in result.err
        assert "! [remote rejected] HEAD -> main (protected branch hook declined)" in result.err
        assert await repository.branches() == {"main": before, "topic": head}

    async def test_workflows_need_their_scope(self, git: Client, standin: StandIn, repository: Repository) -> None:
        folder = await git.clone()
        await git.commit(folder, ".github/workflows/ci.yml", b"on: push\n")
        await git.commit(folder, "other", b"other")
        result = await git("push", "origin", "HEAD:x", cwd=folder, expect=1)
        reason = (
            "refusing to allow a Personal Access Token to create or update workflow "
            "`.github/workflows/ci.yml` without `workflow` scope"
        )
        assert f"! [remote rejected] HEAD -> x ({reason})" in result.err
        standin.add_token(SECOND, Token(login="octocat", scopes=("repo", "workflow")))
        await git("push", "origin", "HEAD:x", cwd=folder, token=SECOND)
        assert await repository.head("x")
        await git.commit(folder, "other", b"changed")  # a workflow that is there already is no obstacle
        await git("push", "origin", "HEAD:y", cwd=folder)

    async def test_a_push_whose_answer_is_lost_has_happened(
        self, git: Client, standin: StandIn, repository: Repository
    ) -> None:
        folder = await git.clone()
        head = await git.commit(folder, "new", b"new")
        standin.fault(method="POST", path="*/git-receive-pack", status=0, applied=True)
        await git("push", "origin", "HEAD:x", cwd=folder, expect=None)
        assert await repository.head("x") == head

    async def test_an_open_pull_request_follows(self, git: Client, standin: StandIn, repository: Repository) -> None:
        folder = await git.clone()
        await git.commit(folder, "new", b"new")
        await git("push", "--quiet", "origin", "HEAD:x", cwd=folder)
        headers = {"Authorization": "Bearer ghp_octocat0000000000000000000000000000"}
        async with aiohttp.ClientSession(headers=headers) as session:
            values = {"title": "x", "head": "x", "base": "main"}
            async with session.post(f"{standin.api_url}/repos/octo-org/demo/pulls", json=values) as response:
                assert response.status == 201
        head = await git.commit(folder, "more", b"more")
        await git("push", "--quiet", "origin", "HEAD:x", cwd=folder)
        assert repository.pulls[0].head_sha == head
        listing = (await git("ls-remote", "origin", "refs/pull/1/head", cwd=folder)).out
        assert listing == f"{head}\trefs/pull/1/head\n"


class TestMoved:
    async def test_git_follows_a_renamed_repository(self, git: Client, standin: StandIn) -> None:
        folder = await git.clone()
        renamed = standin.rename_repository("octo-org/demo", "new-org/shiny")
        fetched = await git("fetch", "origin", cwd=folder)
        assert f"warning: redirecting to {standin.url}/new-org/shiny.git/" in fetched.err
        head = await git.commit(folder, "new", b"new")
        pushed = await git("push", "origin", "HEAD:x", cwd=folder)
        assert "warning: redirecting to" in pushed.err
        assert await renamed.head("x") == head

    async def test_without_following_it_is_told(self, git: Client, standin: StandIn) -> None:
        standin.rename_repository("octo-org/demo", "octo-org/new")
        result = await git("-c", "http.followRedirects=false", "ls-remote", f"{git.url}/octo-org/demo", expect=128)
        assert "The requested URL returned error: 301" in result.err

    async def test_who_may_not_see_it_learns_nothing(self, git: Client, standin: StandIn) -> None:
        standin.rename_repository("octo-org/demo", "octo-org/new")
        standin.add_token(SECOND, Token(login="stranger"))
        result = await git("ls-remote", f"{git.url}/octo-org/demo", token=SECOND, expect=128)
        assert "remote: Repository not found." in result.err

    async def test_owners_of_old_spelling(self, git: Client, standin: StandIn) -> None:
        for name in ("trailing-/demo", "two--hyphens/demo"):
            await standin.add_repository(name, permissions={"octocat": "push"})
            await git.clone(name)


class TestStreams:
    async def test_a_big_pack_both_ways(self, git: Client, standin: StandIn, repository: Repository) -> None:
        """git sends a big push as a probe and a chunked body."""
        folder = await git.clone()
        content = random.Random(1).randbytes(BIG)
        head = await git.commit(folder, "big", content)
        before = peak_memory()
        await git("push", "--quiet", "origin", "HEAD:big", cwd=folder)
        assert await repository.head("big") == head
        pushes = [request for request in standin.requests if request.path.endswith("git-receive-pack")]
        assert [request.headers.get("content-length") for request in pushes] == ["4", None]
        assert pushes[1].headers["transfer-encoding"] == "chunked"
        again = await git.clone("octo-org/demo", "--branch=big")
        assert (again / "big").read_bytes() == content
        assert peak_memory() - before < BIG // 2

    async def test_gzip_bodies(self, git: Client, standin: StandIn, repository: Repository) -> None:
        """git compresses a request of more than 1,024 bytes: here, many `want` lines."""
        folder = await git.clone()
        for number in range(30):
            await repository.commit(f"b{number}", {"upstream": str(number)})
        await git("fetch", "--quiet", cwd=folder)
        encodings = {request.headers.get("content-encoding") for request in standin.requests}
        assert "gzip" in encodings

    async def test_expect_100_continue_and_a_gzip_body_by_hand(self, standin: StandIn) -> None:
        body = gzip.compress(b"0014command=ls-refs\n00010000")
        headers = {
            "Content-Type": "application/x-git-upload-pack-request",
            "Content-Encoding": "gzip",
            "Git-Protocol": "version=2",
            "Authorization": BASIC,
        }
        address = f"{standin.url}/octo-org/demo.git/git-upload-pack"
        async with (
            aiohttp.ClientSession() as session,
            session.post(address, data=body, headers=headers, expect100=True) as response,
        ):
            assert response.status == 200
            assert b"refs/heads/main" in await response.read()

    async def test_a_client_that_goes_away_leaves_no_process(
        self, git: Client, standin: StandIn, repository: Repository
    ) -> None:
        """Half a push, then nothing: git ends, and the branch is as it was."""
        port = int(standin.url.rsplit(":", 1)[1])
        _reader, writer = await asyncio.open_connection("127.0.0.1", port)
        sha = (await repository.head("main") or "").encode()
        command = b"%s %s refs/heads/half\0 report-status\n" % (b"0" * 40, sha)
        piece = b"%04x%s0000PACK\0\0\0\2\0\0\0\1" % (len(command) + 4, command)
        writer.write(
            b"POST /octo-org/demo.git/git-receive-pack HTTP/1.1\r\nHost: a\r\nAuthorization: %s\r\n"
            b"Content-Type: application/x-git-receive-pack-request\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n"
            % (BASIC.encode(), len(piece), piece)
        )
        await writer.drain()
        async with asyncio.timeout(20):
            ended = asyncio.create_task(standin.traffic.wait_for(lambda request: request.method == "POST"))
            await git_runs()
            writer.close()
            await writer.wait_closed()
            await ended
            while children():  # the request is noted a moment before its git is reaped
                await asyncio.sleep(0.01)
        assert await repository.head("half") is None

    async def test_stop_ends_running_git(self, git: Client, standin: StandIn) -> None:
        port = int(standin.url.rsplit(":", 1)[1])
        _reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"POST /octo-org/demo.git/git-upload-pack HTTP/1.1\r\nHost: a\r\nAuthorization: %s\r\n"
            b"Content-Type: application/x-git-upload-pack-request\r\nContent-Length: 1000\r\n\r\n" % BASIC.encode()
        )
        async with asyncio.timeout(20):
            await git_runs()
            await standin.stop()
        assert children() == []
        writer.close()
        await writer.wait_closed()


class TestOwner:
    async def test_the_folder_may_belong_to_someone_else(self, git: Client, repository: Repository) -> None:
        if os.geteuid() == 0:  # only root can give a folder away; anyone else owns it already
            for path in [repository.path, *repository.path.rglob("*")]:
                os.chown(path, 65534, 65534)
        folder = await git.clone()
        await git("push", "--quiet", "origin", "HEAD:x", cwd=folder)


async def git_runs() -> None:
    """Returns when a git runs below this process; nothing signals that, so it looks."""
    while not children():
        await asyncio.sleep(0.01)


def children() -> list[str]:
    """Process ids of git's processes below this one, which may have others: Postgres, a parent of brokers."""
    found: list[str] = []
    pending = [str(os.getpid())]
    while pending:
        for path in Path(f"/proc/{pending.pop()}/task").glob("*/children"):
            try:
                pending += (below := path.read_text().split())
                found += [child for child in below if re.match("git(?!ward)", Path(f"/proc/{child}/comm").read_text())]
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


def peak_memory() -> int:
    """The largest resident size that this process has had, in bytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024
