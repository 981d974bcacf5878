"""The real service: a browser signs in by its link, or at a real issuer; scripts and children see no secret."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
from pathlib import Path

import httpx2
import jwt

from real_issuer import consent, real_issuer
from rig import Rig, rig

SECRET = "canary-of-the-client-9f8e7d"


async def second_line(service: Rig) -> str:
    assert service.process is not None
    assert service.process.stdout is not None
    async with asyncio.timeout(60):
        return (await service.process.stdout.readline()).decode().strip()


async def gitward(service: Rig, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gitward", *arguments),
        stdout=asyncio.subprocess.PIPE,
        env=service.environment,
        cwd=service.root,
    )
    async with asyncio.timeout(120):
        output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


def descendants(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    found = [int(child) for task in tasks for child in task.read_text().split()]
    return [*found, *(below for child in found for below in descendants(child))]


def browser(service: Rig) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=service.url, headers={"Origin": service.url}, trust_env=False, timeout=120)


async def test_the_link_that_serve_prints_signs_in_once() -> None:
    async with rig() as service, browser(service) as first, browser(service) as second:
        told = await second_line(service)
        link = re.sub(r".*link=", "", told)
        assert told.startswith("Sign in, once, within 10 minutes: http://")
        assert (await first.get("/sign-in", params={"link": link})).status_code == 200
        signed_in = await first.post("/sign-in", data={"link": link})
        assert (signed_in.status_code, "gitward" in first.cookies) == (303, True)
        assert (await second.post("/sign-in", data={"link": link})).status_code == 403
        another = (await gitward(service, "sign-in")).strip().rpartition("=")[2]
        assert (await second.post("/sign-in", data={"link": another})).status_code == 303
        subject = jwt.decode((await gitward(service, "token")).strip(), options={"verify_signature": False})["sub"]
        lines = [json.loads(line) for line in (await gitward(service, "audit-log", "export")).splitlines()]
        assert {(line["act"], line["subject"]) for line in lines} == {
            ("sign_in_link.created", subject),
            ("sign_in", subject),
            ("sign_in.refused", None),
        }
        log = service.log.read_text()
        assert not [secret for secret in (link, another, *first.cookies.values()) if secret in log]
        async with service.client(subject) as client:
            assert (await client.get("/me"))["role"] == "operator"
        async with service.client("alice") as client:
            assert (await client.get("/me"))["role"] == "user"
        refused = await first.get("/sign-in", headers={"Host": "evil.example"})
        assert refused.status_code == 421


async def test_a_person_signs_in_at_the_issuer_and_no_child_has_the_secret(tmp_path: Path) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    base = f"http://localhost:{port}"
    back = {"redirect_uri": f"{base}/sign-in/callback", "post_logout_redirect_uri": f"{base}/signed-out"}
    async with real_issuer(tmp_path, client_id="gitward", client_secret=SECRET, **back) as issuer:
        settings = {
            "GITWARD_PORT": str(port),
            "GITWARD_OIDC_ISSUERS": issuer.url,
            "GITWARD_OIDC_CLIENT_ID": "gitward",
            "GITWARD_OIDC_CLIENT_SECRET": SECRET,
            "GITWARD_REPOS": "acme/*",
        }
        async with rig(None, None, **settings) as service, browser(service) as person:
            start = await person.get("/sign-in/start")
            async with httpx2.AsyncClient(trust_env=False) as at:
                where = await consent(at, start.headers["location"], "alice", base)
            assert (await person.get(where)).status_code == 303
            assert len(person.cookies["gitward"]) == 43
            assert service.process is not None
            children = descendants(service.process.pid)
            assert children
            for pid in children:
                assert SECRET.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
            stored = b"".join(path.read_bytes() for path in service.data.glob("gitward.db*"))
            assert SECRET.encode() not in stored
            assert b"eyJ" not in stored
            assert SECRET not in service.log.read_text()
