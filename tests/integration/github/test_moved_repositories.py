"""A renamed or transferred repository is followed by its new name, when the operator allows that one too."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from gitward.errors import Reason, RunFailure
from gitward.github.client import Connection
from gitward.github.moved_repositories import Admission
from gitward.github.ownership import Known
from gitward.github.preflight import Facts, Wanted, check
from gitward_standin import Repository, StandIn

OLD, NEW = "octo-org/old-name", "octo-org/demo"


async def ask(connection: Connection, admit: Admission = lambda _name: None) -> Facts:
    needed = datetime.now(UTC) + timedelta(hours=1)
    wanted = Wanted(repo=OLD, target_branch=None, branch="gitward/1", needed_until=needed)
    return await check(connection, wanted, known=Known(), admit=admit)


async def failure(connection: Connection, admit: Admission = lambda _name: None) -> str:
    with pytest.raises(RunFailure) as raised:
        await ask(connection, admit)
    assert raised.value.reason is Reason.REPOSITORY_NOT_FOUND
    return raised.value.message


def described(repository: Repository, name: str = NEW) -> bytes:
    return json.dumps({"id": repository.id, "full_name": name, "default_branch": "main"}).encode()


def moved(standin: StandIn, location: str | None, *, body: bytes = b"{}", times: int = 1) -> None:
    headers = {"Location": location} if location is not None else {}
    standin.fault(path=f"*/repos/{OLD}", status=301, headers=headers, body=body, times=times)


@pytest.mark.parametrize(
    "location",
    [
        "{api}/repositories/{id}",
        "https://api.github.com/repositories/{id}",
        f"{{api}}/repos/{NEW}",
        "https://evil.example/repositories/{id}",
    ],
)
async def test_it_is_followed_with_a_notice(
    standin: StandIn, connection: Connection, repository: Repository, location: str
) -> None:
    """Asked for where we always ask, whatever host the address names."""
    moved(standin, location.format(api=standin.api_url, id=repository.id))
    standin.fault(path=f"*/repositories/{repository.id}", status=200, body=described(repository))
    facts = await ask(connection)
    assert (facts.repository, facts.repository_id) == (NEW, repository.id)
    assert facts.target_sha == await repository.head("main")
    [notice] = facts.notices
    assert notice.startswith(f"{OLD} was renamed or moved to {NEW}")


async def test_where_it_is_told_by_the_body_alone(
    standin: StandIn, connection: Connection, repository: Repository
) -> None:
    moved(standin, None, body=json.dumps({"url": f"{standin.api_url}/repositories/{repository.id}"}).encode())
    standin.fault(path=f"*/repositories/{repository.id}", status=200, body=described(repository))
    assert (await ask(connection)).repository == NEW


async def test_another_one_is_described(standin: StandIn, connection: Connection, repository: Repository) -> None:
    """A gateway followed the redirect itself."""
    standin.fault(path=f"*/repos/{OLD}", status=200, body=described(repository))
    facts = await ask(connection)
    assert (facts.repository, len(facts.notices)) == (NEW, 1)


async def test_the_new_name_must_be_allowed(standin: StandIn, connection: Connection, repository: Repository) -> None:
    """Whichever way it came; and nothing more is asked about it."""
    asked: list[str] = []

    def admit(name: str) -> str:
        asked.append(name)
        return "must be one of the repositories that this server serves: acme/*"

    for status in (301, 200):
        if status == 301:
            moved(standin, f"{standin.api_url}/repositories/{repository.id}")
        path = f"*/repositories/{repository.id}" if status == 301 else f"*/repos/{OLD}"
        standin.fault(path=path, status=200, body=described(repository))
        told = await failure(connection, admit)
        assert told == (
            f"{OLD} was renamed or moved to {NEW}, which this server does not serve: a repository must be one of "
            "the repositories that this server serves: acme/*."
        )
    assert asked == [NEW, NEW]
    assert not [request for request in standin.requests if f"repos/{NEW}" in request.path]


async def test_a_name_that_is_only_spelled_otherwise_is_the_same(
    standin: StandIn, connection: Connection, repository: Repository
) -> None:
    standin.fault(path=f"*/repos/{OLD}", status=200, body=described(repository, OLD.upper()))
    with pytest.raises(RunFailure, match="may not push to OCTO-ORG/OLD-NAME"):  # the stand-in has none of that name
        await ask(connection, lambda _name: "must not be asked for")


@pytest.mark.parametrize(
    "location", [None, "/stolen", "{api}/repositories/1x", "{api}/repos/../x", "https://x/" + "y" * 2000]
)
async def test_an_address_that_is_no_repository_is_not_followed(
    standin: StandIn, connection: Connection, location: str | None
) -> None:
    moved(standin, None if location is None else location.format(api=standin.api_url), times=9)
    assert "GitHub does not say where to; post a session with its new name" in await failure(connection)
    assert not [request for request in standin.requests if "stolen" in request.path]


async def test_a_circle_ends(standin: StandIn, connection: Connection) -> None:
    moved(standin, f"{standin.api_url}/repos/{OLD}", times=100)
    assert "GitHub does not say where to" in await failure(connection)
    assert len([request for request in standin.requests if request.path.endswith(OLD)]) < 6
