"""GitHub Apps as GitHub treats them: proofs, installations, and tokens that may no more than they were made for."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import jwt
import pytest

from app_keys import app_key
from gitward_standin import App, Installation, Repository, StandIn
from gitward_standin.apps import ALL
from octocat import REPOSITORY

from .conftest import Answer, Api

NAME = REPOSITORY.partition("/")[2]
Minted = Callable[..., Awaitable[str]]


@pytest.fixture
def app(standin: StandIn) -> App:
    return standin.add_app("widget-bot", public_key=app_key()[1])


@pytest.fixture
def installation(standin: StandIn, app: App) -> Installation:
    return standin.install_app(app, "octo-org", permissions={**ALL, "workflows": "write"})


def proof(app: App, *, key: bytes = app_key()[0], lasts: int = 500, since: int = 0, **claims: Any) -> str:
    now = int(time.time())
    return jwt.encode({"iss": app.client_id, "iat": now - since, "exp": now + lasts, **claims}, key, algorithm="RS256")


async def mint(api: Api, app: App, installation: Installation, **asked: Any) -> Answer:
    path = f"/app/installations/{installation.id}/access_tokens"
    return await api("POST", path, json=asked, token=None, headers={"Authorization": f"Bearer {proof(app)}"})


@pytest.fixture
def minted(api: Api, app: App, installation: Installation) -> Minted:
    """Makes tokens of the installation for the one repository."""

    async def minted(permissions: Mapping[str, str] = ALL) -> str:
        answer = await mint(api, app, installation, repositories=[NAME], permissions=permissions)
        assert answer.status == 201, answer.text
        return str(answer.json["token"])

    return minted


class TestProof:
    async def test_the_app_is_who_signs(self, api: Api, app: App, installation: Installation) -> None:
        bearer = {"Authorization": f"Bearer {proof(app)}"}
        answer = await api("GET", "/app", token=None, headers=bearer)
        assert (answer.status, answer.json["slug"], answer.json["id"]) == (200, "widget-bot", app.id)
        assert answer.json["installations_count"] == 1
        listed = await api("GET", "/app/installations", token=None, headers=bearer)
        assert [each["id"] for each in listed.json] == [installation.id]

    @pytest.mark.parametrize(
        ("wrong", "status", "message"),
        [
            ({"key": app_key(2)[0]}, 401, "A JSON web token could not be decoded"),
            ({"iss": "Iv1.nobody"}, 404, "Integration not found"),
            ({"lasts": 660}, 401, "'Expiration time' claim ('exp') is too far in the future"),
            ({"lasts": -1, "since": 60}, 401, "'Expiration time' claim ('exp') must be a numeric value"),
            ({"since": -60}, 401, "'Issued at' claim ('iat') must be an Integer"),
            ({"exp": "soon"}, 401, "A JSON web token could not be decoded"),
        ],
    )
    async def test_another_proof_is_refused(
        self, api: Api, app: App, wrong: dict[str, Any], status: int, message: str
    ) -> None:
        answer = await api("GET", "/app", token=None, headers={"Authorization": f"Bearer {proof(app, **wrong)}"})
        assert (answer.status, answer.json["message"].startswith(message)) == (status, True)

    async def test_a_proof_opens_nothing_else_and_a_token_is_no_proof(self, api: Api, app: App) -> None:
        bearer = {"Authorization": f"Bearer {proof(app)}"}
        assert (await api("GET", f"/repos/{REPOSITORY}", token=None, headers=bearer)).status == 401
        assert (await api("GET", "/app")).status == 401
        assert (await api("GET", "/app", token=None)).status == 401


class TestInstallation:
    async def test_it_is_found_by_its_repositories(self, api: Api, app: App, installation: Installation) -> None:
        bearer = {"Authorization": f"Bearer {proof(app)}"}
        found = await api("GET", f"/repos/{REPOSITORY}/installation", token=None, headers=bearer)
        assert (found.json["id"], found.json["permissions"]["workflows"]) == (installation.id, "write")
        installation.repositories = ("octo-org/other",)
        assert (await api("GET", f"/repos/{REPOSITORY}/installation", token=None, headers=bearer)).status == 404

    async def test_a_suspended_one_makes_no_token(self, api: Api, app: App, installation: Installation) -> None:
        installation.suspended_at = installation.created_at
        answer = await mint(api, app, installation)
        assert (answer.status, answer.json["message"]) == (403, "This installation has been suspended")

    async def test_a_removed_one_is_gone(
        self, standin: StandIn, api: Api, app: App, installation: Installation
    ) -> None:
        standin.site.apps.uninstall(installation)
        assert (await mint(api, app, installation)).status == 404

    @pytest.mark.parametrize(
        ("asked", "message"),
        [
            ({"repositories": ["nowhere"]}, "There is at least one repository that does not exist"),
            ({"permissions": {"administration": "read"}}, "The permissions requested are not granted"),
            ({"permissions": {"checks": "write"}}, "The permissions requested are not granted"),
        ],
    )
    async def test_no_token_may_more_than_the_installation(
        self, api: Api, app: App, installation: Installation, asked: dict[str, Any], message: str
    ) -> None:
        answer = await mint(api, app, installation, **asked)
        assert (answer.status, answer.json["message"].startswith(message)) == (422, True)

    async def test_without_wishes_it_may_all_that_the_installation_may(
        self, api: Api, app: App, installation: Installation
    ) -> None:
        answer = await mint(api, app, installation)
        assert (answer.json["repository_selection"], answer.json["permissions"]) == ("all", installation.permissions)


class TestToken:
    async def test_it_has_the_form_of_2026_and_ends(self, standin: StandIn, api: Api, app: App, minted: Minted) -> None:
        token = await minted()
        assert token.startswith(f"ghs_{app.id}_")
        assert (len(token) > 400, token.count(".")) == (True, 2)
        assert (await api("GET", f"/repos/{REPOSITORY}", token=token)).status == 200
        assert (await api("GET", "/user", token=token)).status == 403
        standin.site.apps.token_seconds = 0.0
        ended = await minted()
        assert (await api("GET", f"/repos/{REPOSITORY}", token=ended)).status == 401

    async def test_it_reaches_its_repositories_alone(self, standin: StandIn, api: Api, minted: Minted) -> None:
        await standin.add_repository("octo-org/other")
        token = await minted()
        assert (await api("GET", "/repos/octo-org/other", token=token)).status == 404

    @pytest.mark.parametrize(
        ("permission", "call"),
        [
            ("contents", ("GET", "/commits", None)),
            ("contents", ("POST", "/git/refs", {"ref": "refs/heads/x", "sha": "0" * 40})),
            ("pull_requests", ("GET", "/pulls", None)),
            ("pull_requests", ("POST", "/pulls", {"title": "t", "head": "topic", "base": "main"})),
            ("issues", ("GET", "/issues", None)),
            ("issues", ("POST", "/issues", {"title": "t"})),
            ("actions", ("GET", "/actions/runs", None)),
            ("checks", ("GET", "/commits/main/check-runs", None)),
            ("statuses", ("GET", "/commits/main/status", None)),
        ],
    )
    async def test_each_call_wants_its_permission(
        self, api: Api, minted: Minted, repository: Repository, permission: str, call: tuple[str, str, Any]
    ) -> None:
        method, path, body = call
        await repository.commit("topic", {"x": "x"}, start=await repository.head("main"))
        without = {name: level for name, level in ALL.items() if name != permission}
        if permission == "issues":  # a pull request is an issue
            del without["pull_requests"]
        refused = await api(method, f"/repos/{REPOSITORY}{path}", json=body, token=await minted(without))
        assert (refused.status, refused.json["message"]) == (403, "Resource not accessible by integration")
        allowed = await api(method, f"/repos/{REPOSITORY}{path}", json=body, token=await minted())
        assert allowed.status != 403

    @pytest.mark.parametrize(
        ("permissions", "statuses"),
        [
            ({"contents": "write"}, [200, 200]),
            ({"contents": "read"}, [200, 403]),
            ({"issues": "write"}, [403, 403]),
        ],
    )
    async def test_git_wants_contents(
        self, standin: StandIn, api: Api, minted: Minted, permissions: dict[str, str], statuses: list[int]
    ) -> None:
        token = await minted(permissions)
        basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        answers = await asyncio.gather(
            *(
                api("GET", f"/{REPOSITORY}.git/info/refs?service={service}", base=standin.url, token=None,
                    headers={"Authorization": f"Basic {basic}"})
                for service in ("git-upload-pack", "git-receive-pack")
            )
        )  # fmt: skip
        assert [answer.status for answer in answers] == statuses
