"""Who may use a repository is what GitHub answers; where it does not answer, nobody may."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connections import given
from gitward.errors import InvalidRequest, Reason, RunFailure, Unavailable
from gitward.github.client import GitHub
from gitward.github.collaborators import Permission, is_login, permission_of
from gitward.github.retries import Patience, Retries
from gitward.github.tokens import Token as GivenToken
from gitward.identity import collaborators
from gitward.identity.collaborators import KNOWN_SECONDS, Collaborators, asking
from gitward_standin import Repository, Role, StandIn, Token, TokenKind

REPOSITORY = "octo-org/demo"
TOKEN = "ghp_octocat0000000000000000000000000000"


class Source:
    """The service's token; it counts how often it is wanted."""

    def __init__(self) -> None:
        self.taken = 0
        self.fault: RunFailure | None = None

    async def take(self, *_: Any, **__: Any) -> GivenToken:
        self.taken += 1
        if self.fault:
            raise self.fault
        return given(TOKEN)

    def distrust(self, token: GivenToken) -> None:
        pass


@pytest.fixture
def source(standin: StandIn) -> Source:
    standin.add_token(TOKEN, Token(login="octocat"))
    for login in ("alice", "bob", "carol", "maud"):
        standin.add_user(login)
    return Source()


class World:
    def __init__(self, source: Source, github: GitHub) -> None:
        self.now = 1000.0
        self.checks = Collaborators(asking(source, github), login_claim="login", clock=lambda: self.now)

    async def may(self, login: object, repo: str = REPOSITORY, **more: Any) -> bool:
        try:
            await self.checks.check({"login": login}, repo, more.pop("submodules", ()), **more)
        except InvalidRequest:
            return False
        return True


@pytest.fixture
def world(source: Source, github: GitHub) -> World:
    return World(source, github)


async def test_by_role(world: World, repository: Repository) -> None:
    repository.permissions.update(alice=Role.PUSH, bob=Role.PULL, carol=Role.TRIAGE, maud=Role.MAINTAIN)
    asked = {login: await world.may(login) for login in ("alice", "bob", "carol", "maud", "octocat", "nobody")}
    assert asked == {
        "alice": True, "bob": False, "carol": False, "maud": True, "octocat": True, "nobody": False
    }  # fmt: skip


@pytest.mark.parametrize(
    "login", [None, "", 7, ["alice"], "alice/../octocat", "alice?x=", "é", "a" * 200, "-alice", "alice\n", "../.."]
)
async def test_what_is_no_login_is_not_asked_about(world: World, source: Source, login: object) -> None:
    assert not await world.may(login)
    assert source.taken == 0
    assert not is_login(login)


async def test_an_answer_counts_for_a_minute_and_not_for_a_follow_up(
    world: World, source: Source, repository: Repository
) -> None:
    repository.permissions["alice"] = Role.PUSH
    assert await world.may("alice")
    repository.permissions["alice"] = Role.PULL
    assert await world.may("ALICE", "Octo-Org/Demo")
    assert source.taken == 1
    assert not await world.may("alice", again=True)
    assert not await world.may("alice")
    repository.permissions["alice"] = Role.PUSH
    world.now += KNOWN_SECONDS + 1
    assert await world.may("alice")


async def test_submodules_need_to_be_readable(world: World, standin: StandIn, repository: Repository) -> None:
    await standin.add_repository("octo-org/secret", permissions={"octocat": "push"})
    await standin.add_repository("octo-org/open", private=False, permissions={"octocat": "push"})
    repository.permissions["alice"] = Role.PUSH
    assert not await world.may("alice", submodules=["octo-org/secret"])
    assert await world.may("alice", submodules=["octo-org/open"])


async def test_a_renamed_repository_is_asked_about_where_it_is(
    world: World, standin: StandIn, repository: Repository
) -> None:
    repository.permissions["alice"] = Role.PUSH
    standin.rename_repository(REPOSITORY, "octo-org/renamed")
    assert await world.may("alice")
    assert not await world.may("bob")


@pytest.mark.parametrize(
    "token",
    [
        Token(login="octocat", push=False, kind=TokenKind.FINE_GRAINED, scopes=()),
        Token(login="octocat", sso_required=True),
    ],
)
async def test_a_token_that_may_not_ask_is_no_answer(world: World, standin: StandIn, token: Token) -> None:
    """The person may be right: it is the server that cannot know."""
    standin.add_token(TOKEN, token)
    with pytest.raises(Unavailable) as raised:
        await world.may("octocat")
    assert raised.value.retry_after > 1


async def test_an_unreachable_github_is_no_yes_and_forgets_the_last_one(
    world: World, standin: StandIn, repository: Repository
) -> None:
    repository.permissions["alice"] = Role.PUSH
    assert await world.may("alice")
    await standin.stop()
    with pytest.raises(Unavailable) as raised:
        await world.may("alice", again=True)
    assert raised.value.retry_after > 1
    with pytest.raises(Unavailable):
        await world.may("alice")


async def test_without_a_token_nobody_may(world: World, source: Source) -> None:
    source.fault = RunFailure(Reason.TOKEN_MISSING, "GITHUB_TOKEN environment variable not set")
    with pytest.raises(Unavailable, match="not set"):
        await world.may("octocat")


async def test_a_silent_github_holds_nobody_longer_than_a_moment() -> None:
    async def never(_repo: str, _login: str) -> Permission:
        await asyncio.Event().wait()
        raise AssertionError

    checks = Collaborators(never, login_claim="login", answer_seconds=0.05)
    with pytest.raises(Unavailable):
        await asyncio.gather(*(checks.check({"login": "alice"}, f"a/{number}", ()) for number in range(30)))


async def test_what_is_remembered_is_bounded() -> None:
    async def yes(_repo: str, _login: str) -> Permission:
        return Permission.WRITE

    checks = Collaborators(yes, login_claim="login")
    for number in range(collaborators.MOST_KNOWN + 10):
        await checks.check({"login": "alice"}, f"a/{number}", ())
    with pytest.raises(Unavailable):
        checks.require({"login": "alice"}, "a/0", ())
    checks.require({"login": "alice"}, f"a/{collaborators.MOST_KNOWN}", ())


async def test_the_token_needs_push_access_to_ask(standin: StandIn, github: GitHub, repository: Repository) -> None:
    """As GitHub's own words: "Must have push access to view collaborator permission."."""
    standin.add_user("reader")
    repository.permissions["reader"] = Role.PULL
    standin.add_token(TOKEN, Token(login="reader"))
    with pytest.raises(RunFailure, match="Must have push access to view collaborator permission"):
        await permission_of(github.connect(given(TOKEN), Retries(Patience(tries=1))), REPOSITORY, "octocat")
