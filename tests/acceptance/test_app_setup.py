"""A GitHub App from the operator's page, on a disk that is full."""

from __future__ import annotations

import asyncio
import json
import re
from html import unescape

import httpx2

from rig import rig
from small_disks import fill, seen_by

from .test_signing_in import browser, second_line


async def test_a_full_disk_is_told_before_the_code_is_spent() -> None:
    async with rig(None, {"data": 96}, GITWARD_LOCAL_SUBJECT="alice") as service, browser(service) as person:
        link = re.sub(r".*link=", "", await second_line(service))
        await person.post("/sign-in", data={"link": link})
        csrf = re.search(r'name="csrf_token" value="([^"]+)"', (await person.get("/")).text)
        assert csrf
        state, manifest = await begun(person, csrf[1])
        async with httpx2.AsyncClient(trust_env=False) as at:
            made = await at.post(f"{service.github.url}/settings/apps", data={"manifest": manifest})
        code = made.headers["location"].partition("code=")[2]
        assert service.process is not None
        data = seen_by(service.process.pid, service.data)
        filler = await asyncio.to_thread(fill, data)
        answer = await person.get("/setup/app/made", params={"state": state, "code": code})
        assert answer.status_code == 507, answer.text
        assert "No space left on device" in answer.text
        assert not [each for each in service.github.requests if "/app-manifests/" in each.path]
        assert not (data / "github-app.pem").exists()
        assert list(data.glob(".github-app-*")) == []
        filler.unlink()
        state, _ = await begun(person, csrf[1])
        answer = await person.get("/setup/app/made", params={"state": state, "code": code})
        assert answer.status_code == 303, answer.text
        assert (data / "github-app.pem").read_text().startswith("-----BEGIN RSA PRIVATE KEY-----")


async def begun(person: httpx2.AsyncClient, csrf: str) -> tuple[str, str]:
    """State and manifest."""
    page = (await person.post("/setup/app", data={"csrf_token": csrf})).text
    state = re.search(r"apps/new\?state=([\w-]+)", page)
    manifest = re.search(r'name="manifest" value="([^"]+)"', page)
    assert state, page
    assert manifest
    assert json.loads(unescape(manifest[1]))["url"]
    return state[1], unescape(manifest[1])
