"""Preflight tells apart what is wrong, before a sandbox opens, and says what to do."""

from __future__ import annotations

import asyncio
import json
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connections import HASTY, given
from gitward.errors import Reason, RunFailure
from gitward.github.client import Connection, GitHub
from gitward.github.ownership import Known
from gitward.github.preflight import Facts, Wanted, check
from gitward.github.retries import Retries
from gitward.github.tokens import Identity
from gitward.secrets import Secret, masked_forms
from gitward_standin import Repository, StandIn, Token, TokenKind

TOKEN = "ghp_octocat0000000000000000000000000000"
REPOSITORY = "octo-org/demo"
MINE = Token(login="octocat")
Connect = Callable[[Token], Connection]


async def ask(connection: Connection, **asked: Any) -> Facts:
    needed = datetime.now(UTC) + timedelta(hours=1)
    known, admit = asked.pop("known", Known()), asked.pop("admit", lambda _name: None)
    wanted = {"repo": REPOSITORY, "target_branch": None, "branch": "gitward/1", "needed_until": needed, **asked}
    async with asyncio.timeout(30):
        return await check(connection, Wanted(**wanted), known=known, admit=admit)


async def failure(connection: Connection, **asked: Any) -> RunFailure:
    with pytest.raises(RunFailure) as raised:
        await ask(connection, **asked)
    shown = "".join(traceback.format_exception(raised.value)).encode()
    assert not [form for form in masked_forms(Secret(TOKEN)) if form in shown]
    return raised.value


class TestFacts:
    async def test_all_that_the_run_needs_to_know(
        self, connection: Connection, repository: Repository, standin: StandIn
    ) -> None:
        repository.size_kib = 4711
        facts = await ask(connection, repo="OCTO-org/Demo")
        assert facts == Facts(
            repository=REPOSITORY,
            repository_id=repository.id,
            size_kib=4711,
            default_branch="main",
            target_branch="main",
            target_sha=str(await repository.head("main")),
            target_tree_sha=(await repository.run_git("rev-parse", "main^{tree}")).decode().strip(),
            branch_sha=None,
            identity=Identity(login="octocat", name="Mona Lisa", email="583231+octocat@users.noreply.github.com"),
        )

    async def test_branches_with_awkward_names_are_found(self, connection: Connection, repository: Repository) -> None:
        for name in ("release/1.0", "#123", "100%", "日本語/ブランチ", "a&b", "x+y"):
            await repository.commit(name, {"a.txt": name})
            facts = await ask(connection, target_branch=name)
            assert facts.target_sha == await repository.head(name)

    async def test_the_session_s_own_branch_is_told_when_it_is_there(
        self, connection: Connection, repository: Repository
    ) -> None:
        head = await repository.commit("gitward/1", {"a.txt": "1"})
        assert (await ask(connection, known=Known(heads=(head,)))).branch_sha == head
        assert (await ask(connection, branch="gitward/2")).branch_sha is None

    async def test_without_user_email_a_noreply_address_signs(self, connect: Connect) -> None:
        identity = (await ask(connect(Token(login="octocat", scopes=("repo",))))).identity
        assert identity.email == "583231+octocat@users.noreply.github.com"

    async def test_an_address_that_the_profile_shows_signs(self, connect: Connect, standin: StandIn) -> None:
        standin.add_user("octocat", id=583231, email="mona@example.org", email_public=True)
        for scopes in (("repo", "user:email"), ("repo",)):
            identity = (await ask(connect(Token(login="octocat", scopes=scopes)))).identity
            assert identity.email == "mona@example.org"

    async def test_a_private_address_never_signs(self, connection: Connection, standin: StandIn) -> None:
        standin.add_user("octocat", id=583231, email="mona@example.org")
        assert (await ask(connection)).identity.email == "583231+octocat@users.noreply.github.com"

    async def test_a_profile_s_address_that_the_account_keeps_private_does_not_sign(
        self, connection: Connection, standin: StandIn
    ) -> None:
        """The profile may lag behind the account's settings, or an Enterprise server may show it all the same."""
        standin.add_user("octocat", id=583231, email="mona@example.org", email_public=True)
        kept = [{"email": "Mona@example.org", "primary": True, "verified": True, "visibility": "private"}]
        standin.fault(path="*/user/emails", status=200, body=json.dumps(kept).encode())
        assert (await ask(connection)).identity.email == "583231+octocat@users.noreply.github.com"

    async def test_enterprise_server_has_noreply_addresses_of_its_own(self, standin: StandIn) -> None:
        standin.add_token(TOKEN, Token(login="octocat", scopes=("repo",)))
        enterprise = GitHub(api_url=standin.api_url, server_url=standin.url, public_host="ghe.example")
        identity = (await ask(enterprise.connect(given(TOKEN)))).identity
        await enterprise.stop()
        assert identity.email == "583231+octocat@users.noreply.ghe.example"

    async def test_an_app_acts_as_a_bot(self, connect: Connect) -> None:
        identity = (await ask(connect(Token(login=None, kind=TokenKind.APP, repositories=(REPOSITORY,))))).identity
        assert identity.name.endswith("[bot]")
        assert identity.email.endswith("[bot]@users.noreply.github.com")

    async def test_a_name_that_git_would_refuse_is_replaced(self, standin: StandIn, connect: Connect) -> None:
        standin.add_user("octocat", id=583231, name="<>\n", email=None)
        assert (await ask(connect(MINE))).identity.name == "octocat"
        standin.add_user("octocat", id=583231, name="Mona\n<mona@x>\x1b[0m", email=None)
        assert (await ask(connect(MINE))).identity.name == "Monamona@x[0m"

    async def test_a_fine_grained_token_with_push_passes(self, connect: Connect) -> None:
        token = Token(login="octocat", kind=TokenKind.FINE_GRAINED, repositories=(REPOSITORY,))
        assert (await ask(connect(token))).repository == REPOSITORY


class TestToken:
    async def test_rejected(self, github: GitHub) -> None:
        told = await failure(github.connect(given(TOKEN), Retries(HASTY)))
        assert told.reason is Reason.TOKEN_REJECTED
        assert "make a new token and set GITHUB_TOKEN to it" in told.message

    async def test_expired_as_github_answers_it(self, connect: Connect) -> None:
        """401 without more: an expired token reads like a wrong one."""
        past = datetime.now(UTC) - timedelta(days=1)
        assert (await failure(connect(Token(login="octocat", expires_at=past)))).reason is Reason.TOKEN_REJECTED

    async def test_expired_when_the_answer_tells_its_end(self, connection: Connection, standin: StandIn) -> None:
        headers = {"GitHub-Authentication-Token-Expiration": "2020-01-01 00:00:00 UTC"}
        standin.fault(path="*/repos/*", status=401, headers=headers)
        told = await failure(connection)
        assert (told.reason, "expired" in told.message) == (Reason.TOKEN_EXPIRED, True)

    async def test_expired_by_its_header_although_it_was_let_in(self, connection: Connection, standin: StandIn) -> None:
        headers = {"GitHub-Authentication-Token-Expiration": "2020-01-01 00:00:00 -0700"}
        standin.fault(path="*/repos/*", status=200, body=b"{}", headers=headers)
        told = await failure(connection)
        assert told.reason is Reason.TOKEN_EXPIRED
        assert "expired at 2020-01-01 07:00 UTC" in told.message

    async def test_expiring_within_the_time_limit(self, connect: Connect) -> None:
        soon = datetime.now(UTC) + timedelta(minutes=30)
        connection = connect(Token(login="octocat", expires_at=soon))
        told = await failure(connection)
        assert told.reason is Reason.TOKEN_EXPIRED
        assert "before the run's time limit ends" in told.message
        assert "shorter timeout_seconds" in told.message
        assert await ask(connection, needed_until=datetime.now(UTC) + timedelta(minutes=5))

    async def test_one_that_may_be_replaced_meanwhile_is_let_in_with_a_notice(
        self, standin: StandIn, github: GitHub
    ) -> None:
        soon = datetime.now(UTC) + timedelta(minutes=30)
        standin.add_token(TOKEN, Token(login="octocat", expires_at=soon))
        [notice] = (await ask(github.connect(replace(given(TOKEN), renewable=True)))).notices
        assert notice.endswith("before the run's time limit ends; replace it by then.")

    async def test_one_that_has_a_successor_is_let_in_silently(self, standin: StandIn, github: GitHub) -> None:
        soon = datetime.now(UTC) + timedelta(minutes=30)
        standin.add_token(TOKEN, Token(login="octocat", expires_at=soon))
        renewed = replace(given(TOKEN), renewable=True, renew_at=time.monotonic() + 1000)
        assert (await ask(github.connect(renewed))).notices == ()

    async def test_single_sign_on(self, connect: Connect) -> None:
        told = await failure(connect(Token(login="octocat", sso_required=True)))
        assert told.reason is Reason.SSO_REQUIRED
        assert "authorize it at https://github.com/orgs/octo-org/sso?" in told.message

    async def test_single_sign_on_told_by_git_only(self, connection: Connection, standin: StandIn) -> None:
        text = b"The 'octo-org' organization has enabled or enforced SAML SSO.\n"
        standin.fault(path="*/info/refs", status=403, body=text)
        assert (await failure(connection)).reason is Reason.SSO_REQUIRED

    @pytest.mark.parametrize(
        "token",
        [
            Token(login="octocat", push=False),
            Token(login="octocat", kind=TokenKind.FINE_GRAINED, repositories=(REPOSITORY,), push=False),
            Token(login=None, kind=TokenKind.APP, repositories=(REPOSITORY,), push=False),
        ],
    )
    async def test_no_push(self, connect: Connect, token: Token) -> None:
        told = await failure(connect(token))
        assert told.reason is Reason.TOKEN_LACKS_PERMISSION
        assert "scope `repo`" in told.message
        assert "Contents: read and write" in told.message

    async def test_no_push_because_its_owner_may_only_read(self, standin: StandIn, connect: Connect) -> None:
        await standin.add_repository("octo-org/public", private=False)
        assert (await failure(connect(MINE), repo="octo-org/public")).reason is Reason.TOKEN_LACKS_PERMISSION

    async def test_what_an_organization_forbids_is_told_in_github_s_words(
        self, connection: Connection, standin: StandIn
    ) -> None:
        message = "`octo-org` forbids access via a personal access token (classic)."
        standin.fault(path="*/repos/*", status=403, body=json.dumps({"message": message}).encode())
        told = await failure(connection)
        assert told.reason is Reason.TOKEN_LACKS_PERMISSION
        assert message.rstrip(".") in told.message


class TestRepository:
    async def test_not_there(self, connection: Connection) -> None:
        told = await failure(connection, repo="octo-org/other")
        assert told.reason is Reason.REPOSITORY_NOT_FOUND
        assert "check the name, and that the token reaches it" in told.message

    async def test_not_visible(self, standin: StandIn, connection: Connection) -> None:
        await standin.add_repository("someone/private")
        assert (await failure(connection, repo="someone/private")).reason is Reason.REPOSITORY_NOT_FOUND

    async def test_not_among_those_of_a_fine_grained_token(self, standin: StandIn, connect: Connect) -> None:
        await standin.add_repository("octo-org/other", permissions={"octocat": "push"})
        token = Token(login="octocat", kind=TokenKind.FINE_GRAINED, repositories=("octo-org/other",))
        assert (await failure(connect(token))).reason is Reason.REPOSITORY_NOT_FOUND

    async def test_archived(self, standin: StandIn, connection: Connection) -> None:
        await standin.add_repository("octo-org/old", archived=True, permissions={"octocat": "push"})
        told = await failure(connection, repo="octo-org/old")
        assert told.reason is Reason.REPOSITORY_ARCHIVED
        assert "unarchive it on GitHub first" in told.message

    async def test_a_description_that_is_not_understood(self, standin: StandIn, connection: Connection) -> None:
        """What GitHub says becomes part of addresses and commands; it is checked before."""
        for about in ({}, {"full_name": "../../x", "default_branch": "main"}, {"full_name": REPOSITORY}):
            standin.fault(path="*/repos/*", status=200, body=json.dumps({"id": 1, **about}).encode())
            assert (await failure(connection)).reason is Reason.INTERNAL


class TestBranch:
    async def test_the_target_is_not_there(self, connection: Connection) -> None:
        told = await failure(connection, target_branch="trunk")
        assert told.reason is Reason.BRANCH_NOT_FOUND
        assert told.message == f"{REPOSITORY} has no branch trunk; name an existing one as target_branch."

    async def test_the_target_was_renamed(self, standin: StandIn, connection: Connection) -> None:
        standin.fault(path="*/branches/*", status=301, headers={"Location": "/x"})
        told = await failure(connection, target_branch="master")
        assert (told.reason, "was renamed" in told.message) == (Reason.BRANCH_NOT_FOUND, True)

    async def test_the_repository_is_empty(self, standin: StandIn, connection: Connection) -> None:
        await standin.add_repository("octo-org/empty", files={}, permissions={"octocat": "push"})
        told = await failure(connection, repo="octo-org/empty")
        assert told.reason is Reason.REPOSITORY_EMPTY
        assert "push a first one to it (a README will do), then retry" in told.message

    @pytest.mark.parametrize(("branch", "target"), [("main", None), ("main", "release"), ("release", "release")])
    async def test_the_session_s_branch_is_the_target_or_the_default(
        self, connection: Connection, branch: str, target: str | None
    ) -> None:
        told = await failure(connection, branch=branch, target_branch=target)
        assert told.reason is Reason.PUSH_REJECTED
        assert "name another session branch" in told.message


class TestGitHub:
    @pytest.mark.parametrize(
        ("status", "headers"),
        [
            (429, {"Retry-After": "30"}),
            (403, {"Retry-After": "30"}),
            (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 3600)}),
        ],
    )
    @pytest.mark.parametrize("path", ["*/repos/*", "*/info/refs", "*/user"])
    async def test_rate_limited(
        self, standin: StandIn, connection: Connection, path: str, status: int, headers: dict[str, str]
    ) -> None:
        """Wherever it is told."""
        standin.fault(path=path, status=status, headers=headers)
        assert (await failure(connection)).reason is Reason.RATE_LIMITED

    @pytest.mark.parametrize("status", [500, 502, 503])
    async def test_unwell(self, standin: StandIn, connection: Connection, status: int) -> None:
        standin.fault(path="*/branches/*", status=status, body=b"<html>oops", times=100)
        told = await failure(connection)
        assert (told.reason, f"GitHub answered {status}" in told.message) == (Reason.INTERNAL, True)

    async def test_cut_off(self, standin: StandIn, connection: Connection) -> None:
        standin.fault(path="*/repos/*", status=0, times=100)
        told = await failure(connection)
        assert told.reason is Reason.INTERNAL
        assert "could not be reached" in told.message

    async def test_unreachable(self, standin: StandIn, github: GitHub) -> None:
        await standin.stop()
        told = await failure(github.connect(given(TOKEN), Retries(HASTY)))
        assert told.reason is Reason.INTERNAL
        assert told.message.startswith(
            "GitHub could not be reached (ConnectError); check the network and retry (tried "
        )

    async def test_an_answer_that_is_no_json(self, standin: StandIn, connection: Connection) -> None:
        standin.fault(path="*/repos/*", status=200, body=b"\xff<html>")
        assert (await failure(connection)).reason is Reason.REPOSITORY_NOT_FOUND

    async def test_a_redirect_never_takes_the_token_elsewhere(self, standin: StandIn, connection: Connection) -> None:
        standin.fault(path="*/repos/*", status=307, headers={"Location": f"{standin.url}/stolen"})
        await failure(connection)
        assert not [request for request in standin.requests if "stolen" in request.path]
