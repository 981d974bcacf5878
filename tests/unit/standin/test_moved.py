"""Renamed and transferred repositories over the API, old owner names, and Enterprise Server's addresses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gitward_standin import Repository, StandIn, Token

Api = Any  # the fixture's class lives in conftest.py
OLD = "/repos/octo-org/demo"
TOKEN = "ghp_octocat0000000000000000000000000000"


@pytest.fixture
def moved(standin: StandIn) -> Repository:
    return standin.rename_repository("octo-org/demo", "new-org/Shiny")


class TestMoved:
    @pytest.mark.parametrize("path", ["", "/branches/main", "/pulls?state=open&head=a%3Ab"])
    async def test_reading_is_led_to_the_number(self, api: Api, moved: Repository, path: str) -> None:
        address = f"https://api.github.com/repositories/{moved.id}{path}"
        async with api._session.get(
            f"{api.standin.api_url}{OLD}{path}", headers={"Authorization": f"token {TOKEN}"}, allow_redirects=False
        ) as response:
            body = await response.json()
            assert (response.status, response.headers["Location"]) == (301, address)
        assert (body["message"], body["url"]) == ("Moved Permanently", address)
        shown = await api("GET", f"/repositories/{moved.id}")
        assert shown.json["full_name"] == "new-org/Shiny"

    async def test_what_changes_something_is_to_be_sent_again(self, api: Api, moved: Repository) -> None:
        headers = {"Authorization": f"token {TOKEN}"}
        asked = api._session.post(
            f"{api.standin.api_url}{OLD}/issues", json={"title": "x"}, headers=headers, allow_redirects=False
        )
        async with asked as response:
            assert response.status == 307
            assert response.headers["Location"].endswith(f"/repositories/{moved.id}/issues")
        assert moved.issues == []

    async def test_who_may_not_see_it_learns_nothing(self, api: Api, standin: StandIn, moved: Repository) -> None:
        standin.add_token("other", Token(login="stranger"))
        for token in ("other", None):
            assert (await api("GET", OLD, token=token)).status == 404

    async def test_a_token_for_listed_repositories_still_reaches_it(
        self, api: Api, standin: StandIn, moved: Repository
    ) -> None:
        standin.add_token(TOKEN, Token(login="octocat", repositories=("octo-org/demo",)))
        assert (await api("GET", f"/repositories/{moved.id}")).status == 200

    async def test_a_new_one_of_the_old_name_ends_it(self, api: Api, standin: StandIn, moved: Repository) -> None:
        await standin.add_repository("octo-org/demo", permissions={"octocat": "push"})
        answer = await api("GET", OLD)
        assert (answer.status, answer.json["full_name"]) == (200, "octo-org/demo")
        assert answer.json["id"] != moved.id

    async def test_graphql_follows_it(self, standin: StandIn, moved: Repository) -> None:
        query = '{repository(owner: "octo-org", name: "demo") {nameWithOwner}}'
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"bearer {TOKEN}"}) as session,
            session.post(f"{standin.url}/api/graphql", json={"query": query}) as response,
        ):
            assert (await response.json())["data"] == {"repository": {"nameWithOwner": "new-org/Shiny"}}

    async def test_the_addresses_of_its_pull_requests_follow(self, api: Api, repository: Repository) -> None:
        await repository.commit("topic", {"x": "x"}, start=await repository.head("main"))
        await api("POST", f"{OLD}/pulls", json={"title": "x", "head": "topic", "base": "main"})
        api.standin.rename_repository("octo-org/demo", "octo-org/other")
        answer = await api("GET", "/repos/octo-org/other/pulls/1")
        assert answer.json["html_url"] == "https://github.com/octo-org/other/pull/1"

    async def test_a_taken_name_is_refused(self, standin: StandIn) -> None:
        await standin.add_repository("octo-org/taken")
        with pytest.raises(ValueError, match="exists already"):
            standin.rename_repository("octo-org/demo", "octo-org/Taken")


@pytest.mark.parametrize("owner", ["trailing-", "two--hyphens", "a--", "octo_corp"])
async def test_owners_of_any_spelling_that_github_ever_allowed(api: Api, standin: StandIn, owner: str) -> None:
    await standin.add_repository(f"{owner}/demo", permissions={"octocat": "push"})
    answer = await api("GET", f"/repos/{owner}/demo")
    assert answer.json["owner"]["login"] == owner
    assert (await api("GET", f"/repos/{owner}/demo/branches/main")).status == 200


class TestEnterprise:
    """One host, at a port of its own, has git, REST and GraphQL."""

    @pytest.fixture
    async def standin(self, tmp_path: Path) -> AsyncIterator[StandIn]:
        github = StandIn(tmp_path / "ghe", public_url="https://GHE.example:8443")
        github.add_user("octocat", id=7, email="mona@example.org")
        github.add_token(TOKEN, Token(login="octocat"))
        await github.add_repository("octo-org/demo", permissions={"octocat": "push"})
        await github.start()
        yield github
        await github.stop()

    async def test_addresses_have_the_port(self, api: Api) -> None:
        for host in ("GHE.example:8443", "ghe.example:8443"):
            shown = (await api("GET", OLD, headers={"Host": host})).json
            assert shown["url"] == "https://GHE.example:8443/api/v3/repos/octo-org/demo"
            assert shown["clone_url"] == "https://GHE.example:8443/octo-org/demo.git"

    async def test_the_root_of_the_api(self, api: Api) -> None:
        for path in ("", "/"):
            assert (await api("GET", path)).json["rate_limit_url"] == "https://GHE.example:8443/api/v3/rate_limit"
        assert (await api("GET", "/repos/octo-org/demo", base=api.standin.url)).status == 404

    async def test_graphql_is_beside_it(self, standin: StandIn) -> None:
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"bearer {TOKEN}"}) as session,
            session.post(f"{standin.url}/api/graphql", json={"query": "{viewer {login url}}"}) as response,
        ):
            viewer = (await response.json())["data"]["viewer"]
        assert viewer == {"login": "octocat", "url": "https://GHE.example:8443/octocat"}

    async def test_noreply_addresses_have_the_host(self, api: Api) -> None:
        assert (await api("GET", "/user/emails")).json[1]["email"] == "7+octocat@users.noreply.GHE.example"

    async def test_a_renamed_repository_is_led_to_the_same_host(self, api: Api) -> None:
        renamed = api.standin.rename_repository("octo-org/demo", "octo-org/new")
        headers = {"Authorization": f"token {TOKEN}"}
        asked = api._session.get(f"{api.standin.api_url}{OLD}", headers=headers, allow_redirects=False)
        async with asked as response:
            assert response.headers["Location"] == f"https://GHE.example:8443/api/v3/repositories/{renamed.id}"
