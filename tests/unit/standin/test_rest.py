"""The REST API answers as GitHub's does: status codes, bodies, headers, by kind of token."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from http import HTTPMethod
from typing import Any

import pytest

from gitward_standin import Repository, Rule, StandIn, Token, TokenKind

Api = Any  # the fixture's class lives in conftest.py
REPO = "/repos/octo-org/demo"
SECOND = "second-token"


class TestAuthentication:
    @pytest.mark.parametrize("path", ["/", "/user", REPO, "/nowhere"])
    async def test_an_unknown_token_is_bad_credentials_everywhere(self, api: Api, path: str) -> None:
        answer = await api("GET", path, token="wrong")
        assert answer.status == 401
        assert answer.json == {
            "message": "Bad credentials",
            "documentation_url": "https://docs.github.com/rest",
            "status": "401",
        }
        assert "X-OAuth-Scopes" not in answer.headers

    async def test_an_expired_and_a_revoked_token_are_bad_credentials(self, api: Api, standin: StandIn) -> None:
        past = datetime.now(UTC) - timedelta(hours=1)
        standin.add_token(SECOND, Token(login="octocat", expires_at=past))
        assert (await api("GET", "/user", token=SECOND)).json["message"] == "Bad credentials"
        standin.add_token(SECOND, Token(login="octocat"))
        assert (await api("GET", "/user", token=SECOND)).status == 200
        standin.revoke_token(SECOND)
        assert (await api("GET", "/user", token=SECOND)).status == 401

    async def test_without_a_token(self, api: Api, standin: StandIn) -> None:
        """Public things are shown, private ones do not exist, one's own account cannot be asked for."""
        await standin.add_repository("octo-org/open", private=False)
        assert (await api("GET", "/repos/octo-org/open", token=None)).status == 200
        assert (await api("GET", REPO, token=None)).status == 404
        answer = await api("GET", "/user", token=None)
        assert (answer.status, answer.json["message"]) == (401, "Requires authentication")

    async def test_sso_is_required_for_repositories_only(self, api: Api, standin: StandIn) -> None:
        standin.add_token(SECOND, Token(login="octocat", sso_required=True))
        assert (await api("GET", "/user", token=SECOND)).status == 200
        answer = await api("GET", REPO, token=SECOND)
        assert answer.status == 403
        assert answer.json["message"].startswith("Resource protected by organization SAML enforcement.")
        assert re.fullmatch(
            r"required; url=https://github\.com/orgs/octo-org/sso\?authorization_request=\w+",
            answer.headers["X-GitHub-SSO"],
        )


class TestHeaders:
    async def test_every_answer_has_them(self, api: Api) -> None:
        for path, status in (("/", 200), ("/nowhere", 404)):
            answer = await api("GET", path)
            assert answer.status == status
            assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
            assert answer.headers["X-OAuth-Scopes"] == "repo, user:email"
            assert re.fullmatch(r"[0-9A-F]+(:[0-9A-F]+){4}", answer.headers["X-GitHub-Request-Id"])
            assert answer.headers["X-RateLimit-Limit"] == "5000"
            assert "GitHub-Authentication-Token-Expiration" not in answer.headers

    async def test_the_rate_limit_counts_down(self, api: Api) -> None:
        left = [int((await api("GET", "/zen")).headers["X-RateLimit-Remaining"]) for _ in range(2)]
        assert left == [4999, 4998]

    async def test_only_classic_tokens_have_scopes(self, api: Api, standin: StandIn) -> None:
        standin.add_token("github_pat_x", Token(login="octocat", kind=TokenKind.FINE_GRAINED))
        standin.add_token("ghs_x", Token(login=None, kind=TokenKind.APP))
        standin.add_token("ghp_none", Token(login="octocat", scopes=()))
        for token in ("github_pat_x", "ghs_x"):
            assert "X-OAuth-Scopes" not in (await api("GET", "/", token=token)).headers
        assert (await api("GET", "/", token="ghp_none")).headers["X-OAuth-Scopes"] == ""

    async def test_the_expiry_is_told_in_utc(self, api: Api, standin: StandIn) -> None:
        standin.add_token(SECOND, Token(login="octocat", expires_at=datetime(2099, 12, 1, tzinfo=UTC)))
        answer = await api("GET", "/user", token=SECOND)
        assert answer.headers["GitHub-Authentication-Token-Expiration"] == "2099-12-01 00:00:00 UTC"

    async def test_a_user_agent_is_required(self, api: Api) -> None:
        answer = await api("GET", "/user", headers={"User-Agent": ""})
        assert answer.status == 200  # an empty one is one
        async with api._session.get(f"{api.standin.api_url}/user", skip_auto_headers=["User-Agent"]) as response:
            assert response.status == 403
            assert "Please make sure your request has a User-Agent header" in await response.text()


class TestAccounts:
    async def test_the_user(self, api: Api) -> None:
        answer = await api("GET", "/user")
        assert answer.status == 200
        assert (answer.json["login"], answer.json["name"], answer.json["type"]) == ("octocat", "Mona Lisa", "User")
        assert answer.json["email"] is None  # addresses are private
        assert answer.json["node_id"].startswith("U_kgDO")

    async def test_an_app_has_no_user(self, api: Api, standin: StandIn) -> None:
        standin.add_token("ghs_x", Token(login=None, kind=TokenKind.APP))
        for path in ("/user", "/user/emails"):
            answer = await api("GET", path, token="ghs_x")
            assert (answer.status, answer.json["message"]) == (403, "Resource not accessible by integration")
        bot = await api("GET", "/users/standin-app%5Bbot%5D", token="ghs_x")
        assert (bot.status, bot.json["type"]) == (200, "Bot")

    @pytest.mark.parametrize(("scopes", "status"), [(("repo",), 404), (("user:email",), 200), (("user",), 200)])
    async def test_addresses_need_their_scope(
        self, api: Api, standin: StandIn, scopes: tuple[str, ...], status: int
    ) -> None:
        standin.add_token(SECOND, Token(login="octocat", scopes=scopes))
        answer = await api("GET", "/user/emails", token=SECOND)
        assert answer.status == status
        if status == 200:
            assert answer.json[0] == {
                "email": "mona@example.org",
                "primary": True,
                "verified": True,
                "visibility": "private",
            }

    async def test_a_public_address_is_on_the_profile(self, api: Api, standin: StandIn) -> None:
        standin.add_user("octocat", email="mona@example.org", email_public=True)
        assert (await api("GET", "/user")).json["email"] == "mona@example.org"
        first, noreply = (await api("GET", "/user/emails")).json
        assert (first["primary"], first["visibility"]) == (True, "public")
        assert (noreply["primary"], noreply["visibility"]) == (False, None)

    async def test_a_user_without_an_address_has_the_noreply_one(self, api: Api, standin: StandIn) -> None:
        standin.add_user("hubot", id=4711)
        standin.add_token(SECOND, Token(login="hubot"))
        (email,) = (await api("GET", "/user/emails", token=SECOND)).json
        assert (email["email"], email["primary"]) == ("4711+hubot@users.noreply.github.com", True)


class TestRepository:
    async def test_it_is_found_without_case_and_shown_as_it_is_spelled(self, api: Api, standin: StandIn) -> None:
        await standin.add_repository("octo-org/Camel.Case", permissions={"octocat": "pull"})
        answer = await api("GET", "/repos/OCTO-ORG/camel.case")
        assert answer.status == 200
        assert answer.json["full_name"] == "octo-org/Camel.Case"
        assert answer.json["clone_url"] == "https://github.com/octo-org/Camel.Case.git"
        assert answer.json["owner"]["type"] == "Organization"
        assert answer.json["default_branch"] == "main"

    @pytest.mark.parametrize(
        ("role", "granted"),
        [
            ("pull", {"pull"}),
            ("push", {"pull", "triage", "push"}),
            ("admin", {"pull", "triage", "push", "maintain", "admin"}),
        ],
    )
    async def test_permissions_are_the_users_role(
        self, api: Api, standin: StandIn, role: str, granted: set[str]
    ) -> None:
        """Also with a token that may not push: the role says nothing about the token."""
        await standin.add_repository("octo-org/other", permissions={"octocat": role})
        standin.add_token(SECOND, Token(login="octocat", kind=TokenKind.FINE_GRAINED, push=False))
        for token in (SECOND,):
            shown = (await api("GET", "/repos/octo-org/other", token=token)).json["permissions"]
            assert {name for name, given in shown.items() if given} == granted

    async def test_what_is_not_visible_does_not_exist(self, api: Api, standin: StandIn) -> None:
        await standin.add_repository("octo-org/secret")
        standin.add_token(SECOND, Token(login="octocat", kind=TokenKind.FINE_GRAINED, repositories=()))
        for path, token in (
            ("/repos/octo-org/secret", None),
            ("/repos/octo-org/nothing", None),
            (REPO, SECOND),
            ("/repos/octo-org%2Fdemo", None),
        ):
            answer = await api("GET", path, **({"token": token} if token else {}))
            assert (answer.status, answer.json["message"]) == (404, "Not Found")

    @pytest.mark.parametrize("spelling", ["feature/one", "feature%2Fone"])
    async def test_a_branch_may_have_slashes(self, api: Api, repository: Repository, spelling: str) -> None:
        sha = await repository.commit("feature/one", {"a": "1"})
        answer = await api("GET", f"{REPO}/branches/{spelling}")
        assert (answer.status, answer.json["name"], answer.json["commit"]["sha"]) == (200, "feature/one", sha)
        answer = await api("GET", f"{REPO}/git/ref/heads/{spelling}")
        assert (answer.json["ref"], answer.json["object"]["sha"]) == ("refs/heads/feature/one", sha)

    async def test_refs_are_found_by_how_they_begin(self, api: Api, repository: Repository) -> None:
        for name in ("fix", "fix-1", "fixed/a", "other"):
            await repository.commit(name, {"a": "1"})
        answer = await api("GET", f"{REPO}/git/matching-refs/heads%2Ffix")
        assert [found["ref"] for found in answer.json] == ["refs/heads/fix", "refs/heads/fix-1", "refs/heads/fixed/a"]
        assert answer.json[0]["object"]["sha"] == await repository.head("fix")
        for name in ("heads/none", "tags/fix"):
            answer = await api("GET", f"{REPO}/git/matching-refs/{name}")
            assert (answer.status, answer.json) == (200, [])

    async def test_unknown_branches(self, api: Api) -> None:
        answer = await api("GET", f"{REPO}/branches/none")
        assert (answer.status, answer.json["message"]) == (404, "Branch not found")
        for name in ("none", "main^%7Bcommit%7D", "..%2Fheads%2Fmain", "-x"):
            assert (await api("GET", f"{REPO}/git/ref/heads/{name}")).status == 404

    async def test_an_empty_repository(self, api: Api, standin: StandIn) -> None:
        await standin.add_repository("octocat/empty", files={})
        assert (await api("GET", "/repos/octocat/empty/branches/main")).status == 404
        answer = await api("GET", "/repos/octocat/empty/git/ref/heads/main")
        assert (answer.status, answer.json["message"]) == (409, "Git Repository is empty.")

    @pytest.mark.parametrize(
        ("call", "status", "message"),
        [
            ("GET commits", 409, "Git Repository is empty."),
            ("GET git/trees/main", 409, "Git Repository is empty."),
            ("GET git/matching-refs/heads/x", 409, "Git Repository is empty."),
            ("POST git/refs", 409, "Git Repository is empty."),
            ("GET contents/README.md", 404, "This repository is empty."),
            ("GET readme", 404, "Not Found"),
        ],
    )
    async def test_what_an_empty_repository_answers(
        self, api: Api, standin: StandIn, call: str, status: int, message: str
    ) -> None:
        await standin.add_repository("octocat/empty", files={})
        method, path = call.split()
        json = {"ref": "refs/heads/x", "sha": "0" * 40} if method == "POST" else None
        answer = await api(method, f"/repos/octocat/empty/{path}", json=json)
        assert (answer.status, answer.json["message"]) == (status, message)
        assert (await api("GET", "/repos/octocat/empty/branches")).json == []

    async def test_refs_that_begin_alike(self, api: Api, repository: Repository) -> None:
        start = await repository.head("main")
        for branch in ("fix", "fixes/one", "other"):
            await repository.commit(branch, {branch: "x"}, start=start)
        answer = await api("GET", f"{REPO}/git/matching-refs/heads/fix")
        assert [ref["ref"] for ref in answer.json] == ["refs/heads/fix", "refs/heads/fixes/one"]
        assert (await api("GET", f"{REPO}/git/matching-refs/heads/none")).json == []

    async def test_rules_of_a_branch_that_need_not_exist(self, api: Api, repository: Repository) -> None:
        pattern = {"operator": "starts_with", "pattern": "feat"}
        repository.rules += [
            Rule(type="required_signatures"),
            Rule(type="commit_message_pattern", branches="feature/*", parameters=pattern, ruleset=7),
        ]
        assert (await api("GET", f"{REPO}/rules/branches/feature/a")).json == [
            {
                "type": "required_signatures",
                "ruleset_source_type": "Repository",
                "ruleset_source": "octo-org/demo",
                "ruleset_id": 1,
            },
            {
                "type": "commit_message_pattern",
                "parameters": pattern,
                "ruleset_source_type": "Repository",
                "ruleset_source": "octo-org/demo",
                "ruleset_id": 7,
            },
        ]
        assert [rule["ruleset_id"] for rule in (await api("GET", f"{REPO}/rules/branches/main")).json] == [1]

    async def test_a_protected_branch_says_so(self, api: Api, standin: StandIn) -> None:
        await standin.add_repository("octocat/safe", protected=("main",))
        assert (await api("GET", "/repos/octocat/safe/branches/main")).json["protected"] is True
        assert (await api("GET", f"{REPO}/branches/main")).json["protected"] is False


class TestRouting:
    @pytest.mark.parametrize("path", ["/nowhere", "/repos/octo-org/demo/secrets", "/user/", "//user", "/repos/a"])
    async def test_an_unknown_path_is_githubs_404(self, api: Api, path: str) -> None:
        answer = await api("GET", path)
        assert answer.status == 404
        assert answer.json == {
            "message": "Not Found",
            "documentation_url": "https://docs.github.com/rest",
            "status": "404",
        }

    async def test_an_unknown_method_is_one_too(self, api: Api) -> None:
        for method in (HTTPMethod.DELETE, HTTPMethod.PUT):
            assert (await api(method, REPO)).status == 404

    async def test_githubs_own_host_has_the_api_at_its_root(self, api: Api, standin: StandIn) -> None:
        host = {"Host": "api.github.com"}
        assert (await api("GET", "/user", base=standin.url, headers=host)).json["login"] == "octocat"
        query = {"query": "query UserCurrent{viewer{login}}"}
        answer = await api("POST", "/graphql", base=standin.url, headers=host, json=query)
        assert answer.json == {"data": {"viewer": {"login": "octocat"}}}
        assert (await api("GET", "/user", base=standin.url)).text == "Not Found\n"
        assert (await api("GET", "/user", headers={"Host": "github.com"})).text == "Not Found\n"

    async def test_lists_come_in_pages(self, api: Api, repository: Repository) -> None:
        for number in range(4):
            await repository.commit(f"b{number}", {"a": "1"})
        answer = await api("GET", f"{REPO}/branches?per_page=2&page=2")
        assert [branch["name"] for branch in answer.json] == ["b2", "b3"]
        base = f"{api.standin.api_url}{REPO}/branches?per_page=2&page="
        assert set(answer.headers["Link"].split(", ")) == {
            f'<{base}1>; rel="prev"',
            f'<{base}1>; rel="first"',
            f'<{base}3>; rel="next"',
            f'<{base}3>; rel="last"',
        }


class TestGraphql:
    async def test_the_viewer(self, api: Api, standin: StandIn) -> None:
        standin.add_token("ghs_x", Token(login=None, kind=TokenKind.APP))
        for token, login in (("ghs_x", "standin-app[bot]"),):
            answer = await api("POST", "/api/graphql", base=standin.url, token=token, json={"query": "{viewer{login}}"})
            assert answer.json["data"]["viewer"]["login"] == login

    async def test_it_wants_a_token(self, api: Api, standin: StandIn) -> None:
        answer = await api("POST", "/api/graphql", base=standin.url, token="bad", json={"query": "{viewer{login}}"})
        assert (answer.status, answer.json["message"]) == (401, "Bad credentials")
