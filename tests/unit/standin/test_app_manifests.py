"""An App made from a manifest, as GitHub documents it: its page, the code, and what the code is exchanged for once."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gitward_standin import StandIn
from gitward_standin.clock import now

from .conftest import Api

MANIFEST = {
    "name": "Widget Maker",
    "url": "https://widgets.example",
    "redirect_url": "https://widgets.example/back?a=b",
    "public": False,
    "default_permissions": {"contents": "write", "checks": "read"},
}
# "Create a GitHub App from a manifest", the example of its answer.
DOCUMENTED = {
    "id", "slug", "node_id", "owner", "name", "description", "external_url", "html_url", "created_at", "updated_at",
    "permissions", "events", "client_id", "client_secret", "webhook_secret", "pem",
}  # fmt: skip


async def press(standin: StandIn, path: str, **form: str) -> tuple[int, str, str]:
    """Status, Location, text."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(standin.url + path, data=form, allow_redirects=False) as answer,
    ):
        return answer.status, answer.headers.get("Location", ""), await answer.text()


async def code_of(standin: StandIn, path: str = "/settings/apps?state=s%26t", **manifest: Any) -> str:
    status, where, text = await press(standin, path, manifest=json.dumps(MANIFEST | manifest))
    assert status == 302, text
    told = parse_qs(urlsplit(where).query)
    assert where.startswith("https://widgets.example/back?a=b&code=")
    assert told["state"] == ["s&t"]
    return told["code"][0]


async def test_the_page_asks_before_anything_is_made(standin: StandIn) -> None:
    status, _, text = await press(standin, "/settings/apps/new?state=x%22y", manifest=json.dumps(MANIFEST))
    assert status == 200
    assert "Create GitHub App for octocat" in text
    assert "/settings/apps?state=x%22y" in text
    assert standin.site.apps.named("widget-maker") is None


async def test_a_code_is_exchanged_once_for_what_github_documents(standin: StandIn, api: Api) -> None:
    code = await code_of(standin)
    answer = await api("POST", f"/app-manifests/{code}/conversions", token=None)
    assert answer.status == 201
    assert set(answer.json) == DOCUMENTED
    assert answer.json["permissions"] == {"metadata": "read", "contents": "write", "checks": "read"}
    assert answer.json["webhook_secret"] is None
    assert answer.json["html_url"] == "https://github.com/apps/widget-maker"
    load_pem_private_key(answer.json["pem"].encode(), password=None)
    assert (await api("POST", f"/app-manifests/{code}/conversions", token=None)).status == 404


async def test_an_organization_owns_what_was_made_on_its_page(standin: StandIn, api: Api) -> None:
    code = await code_of(standin, "/organizations/octo-org/settings/apps?state=s%26t")
    answer = await api("POST", f"/app-manifests/{code}/conversions", token=None)
    assert answer.json["owner"]["login"] == "octo-org"


async def test_a_code_is_good_for_an_hour(standin: StandIn, api: Api) -> None:
    code = await code_of(standin)
    register = standin.site.made_apps._made
    register[code] = replace(register[code], made_at=now() - timedelta(hours=1, seconds=1))
    assert (await api("POST", f"/app-manifests/{code}/conversions", token=None)).status == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": None}, {"redirect_url": "nowhere"}, {"hook_attributes": {"active": False}},
        {"default_permissions": {"nonsense": "write"}}, {"default_permissions": {"contents": "everything"}},
    ],
)  # fmt: skip
async def test_what_is_wrong_with_a_manifest_is_told_and_nothing_made(standin: StandIn, wrong: dict[str, Any]) -> None:
    status, _, text = await press(standin, "/settings/apps", manifest=json.dumps(MANIFEST | wrong))
    assert status == 200
    assert "Invalid GitHub App configuration" in text
    assert standin.site.apps.named("widget-maker") is None


async def test_names_are_taken_once(standin: StandIn) -> None:
    await code_of(standin)
    status, _, text = await press(standin, "/settings/apps", manifest=json.dumps(MANIFEST))
    assert status == 200
    assert "already taken" in text
