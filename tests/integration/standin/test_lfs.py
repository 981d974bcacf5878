"""Real git-lfs pushes objects to the stand-in and pulls them; the signed addresses hold."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from gitward_standin import Repository, StandIn, Token

Client = Any  # the fixture's class lives in conftest.py
TOKEN = "ghp_octocat0000000000000000000000000000"
SECOND = "second-token"
CONTENT = b"large content\n" * 10_000
OID = hashlib.sha256(CONTENT).hexdigest()


class TestRealLfs:
    async def test_push_and_pull(self, git: Client, standin: StandIn, repository: Repository) -> None:
        folder = await git.clone()
        await git("lfs", "install", "--local", cwd=folder)
        await git("lfs", "track", "*.bin", cwd=folder)
        await git.commit(folder, ".gitattributes", (folder / ".gitattributes").read_bytes())
        await git.commit(folder, "big.bin", CONTENT)
        await git("push", "--quiet", "origin", "HEAD:x", cwd=folder)
        assert (repository.path / "lfs/objects" / OID[:2] / OID[2:4] / OID).read_bytes() == CONTENT
        pointer = await repository.git.run("show", "refs/heads/x:big.bin", cwd=repository.path)
        assert pointer.startswith(b"version https://git-lfs.github.com/spec/v1")

        await git("lfs", "install", "--skip-repo")
        again = await git.clone("octo-org/demo", "--branch=x")
        await git("lfs", "pull", cwd=again)
        assert (again / "big.bin").read_bytes() == CONTENT
        transfers = [request for request in standin.requests if request.path.startswith("/_lfs/")]
        assert transfers
        for request in transfers:
            assert request.headers["authorization"].startswith("RemoteAuth ")
            assert "X-Amz-Signature=" in request.query


class TestBatch:
    async def batch(
        self, standin: StandIn, operation: str, *, token: str | None = TOKEN, oid: str = OID
    ) -> tuple[int, dict[str, Any]]:
        basic = base64.b64encode(f"x:{token}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}"} if token else {}
        address = f"{standin.url}/octo-org/demo.git/info/lfs/objects/batch"
        body = {"operation": operation, "objects": [{"oid": oid, "size": len(CONTENT)}]}
        async with aiohttp.ClientSession() as session, session.post(address, json=body, headers=headers) as response:
            assert response.content_type == "application/vnd.git-lfs+json"
            return response.status, await response.json(content_type=None)

    async def test_download_of_what_is_not_there(self, standin: StandIn) -> None:
        status, answer = await self.batch(standin, "download")
        assert status == 200
        assert answer["objects"][0]["error"]["code"] == 404

    @pytest.mark.parametrize(
        ("operation", "token", "status"),
        [
            ("download", None, 401),
            ("upload", "wrong", 401),
            ("upload", SECOND, 403),
            ("download", SECOND, 200),
            ("steal", TOKEN, 422),
        ],
    )
    async def test_rights(self, standin: StandIn, operation: str, token: str | None, status: int) -> None:
        standin.add_token(SECOND, Token(login="octocat", push=False))
        assert (await self.batch(standin, operation, token=token))[0] == status

    async def test_an_object_identifier_must_be_a_digest(self, standin: StandIn) -> None:
        assert (await self.batch(standin, "upload", oid="../../../../etc/passwd"))[0] == 422

    async def test_an_action_needs_both_signatures(self, standin: StandIn) -> None:
        _, answer = await self.batch(standin, "upload")
        action = answer["objects"][0]["actions"]["upload"]
        async with aiohttp.ClientSession() as session:

            async def put(address: str, headers: dict[str, str], content: bytes = CONTENT) -> int:
                async with session.put(address, headers=headers, data=content) as response:
                    return response.status

            plain = urlsplit(action["href"])._replace(query="").geturl()
            other = action["href"].replace(OID, "0" * 64)
            assert await put(action["href"], {}) == 403
            assert await put(plain, action["header"]) == 403
            assert await put(other, action["header"]) == 403
            assert await put(action["href"], {"Authorization": f"token {TOKEN}"}) == 403
            assert await put(action["href"], action["header"], b"other content") == 400
            assert await put(action["href"], action["header"]) == 200
            async with session.get(action["href"], headers=action["header"]) as response:
                assert response.status == 403  # a signature is good for its own action
        assert (await self.batch(standin, "upload"))[1]["objects"][0] == {"oid": OID, "size": len(CONTENT)}
