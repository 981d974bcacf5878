"""The job's own calls bear what passes: outages, rate limits; for all runs with the same token."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from connections import HASTY, given
from gitward.errors import Reason, RunFailure
from gitward.github.client import GitHub
from gitward.github.ownership import Known
from gitward.github.preflight import Wanted, check
from gitward.github.pulls import Proposal, propose
from gitward.github.retries import Patience, Retries, Retry
from gitward_standin import Outage, Repository, StandIn, Token

TOKEN = "ghp_octocat0000000000000000000000000000"
REPOSITORY = "octo-org/demo"
PATH = f"/repos/{REPOSITORY}"
PATIENT = Patience(first_seconds=0.005, longest_seconds=0.15, total_seconds=300.0)  # waits a hundredth of the service's
TRIES_IN_A_MINUTE = 8  # at most


class Told(list[Retry]):
    """What was told, and when the first and the last of a minute were."""

    def __init__(self) -> None:
        super().__init__()
        self.first = asyncio.Event()
        self.for_a_minute = asyncio.Event()

    async def __call__(self, retry: Retry) -> None:
        self.append(retry)
        self.first.set()
        if len(self) == TRIES_IN_A_MINUTE:
            self.for_a_minute.set()


def test_the_service_s_own_patience_is_longer_than_a_minute() -> None:
    patience = Patience()
    waits = [patience.pause(number) for number in range(1, patience.tries)]
    assert min(patience.total_seconds, sum(waits)) > 60
    assert sum(waits[: TRIES_IN_A_MINUTE + 1]) > 30, "most of it passes while it is tried so often"


@pytest.fixture(autouse=True)
def token(standin: StandIn) -> None:
    standin.add_token(TOKEN, Token(login="octocat"))


@pytest.mark.parametrize("outage", list(Outage))
async def test_a_github_that_is_down_for_a_minute_is_outlasted(
    github: GitHub, standin: StandIn, repository: Repository, outage: Outage
) -> None:
    """It is away for as many tries as the service makes in a minute."""
    await repository.commit("gitward/1", {"new.txt": "new"}, start=await repository.head("main"))
    await standin.go_down(outage)
    told = Told()
    connection = github.connect(given(TOKEN), Retries(PATIENT, tell=told))
    proposal = Proposal(
        repository=REPOSITORY, branch="gitward/1", target_branch="main", title="T", body="", draft=False
    )
    asking = asyncio.create_task(propose(connection, proposal))
    async with asyncio.timeout(120):
        await told.for_a_minute.wait()
        await standin.come_back()
        assert (await asking).number == 1
    assert len(repository.pulls) == 1
    assert len(told) >= TRIES_IN_A_MINUTE
    assert [retry.number for retry in told] == list(range(1, len(told) + 1))


async def test_a_github_that_stays_away_fails_the_run_with_how_often_it_was_tried(
    github: GitHub, standin: StandIn
) -> None:
    await standin.go_down(Outage.UNAVAILABLE)
    with pytest.raises(RunFailure, match=r"GitHub answered 503; retry when GitHub works again \(tried 5 times in"):
        await github.connect(given(TOKEN), Retries(replace(PATIENT, tries=5))).get(PATH)


async def test_a_rate_limit_that_ends_in_time_is_waited_for_by_all_who_use_the_token(
    github: GitHub, standin: StandIn
) -> None:
    """One run was told; the others do not ask before it is over."""
    standin.fault(path=f"*{PATH}", status=429, headers={"Retry-After": "1"})
    told = Told()
    patient = Retries(HASTY, limited_seconds=30, tell=told)
    began = time.monotonic()
    first = asyncio.create_task(github.connect(given(TOKEN), patient).get(PATH))
    await told.first.wait()
    other = await github.connect(given(TOKEN), Retries(HASTY, limited_seconds=30)).get(f"{PATH}/branches")
    assert (other.status, (await first).status) == (200, 200)
    assert time.monotonic() - began >= 1
    assert [(retry.cause, retry.seconds >= 1) for retry in told] == [("GitHub's rate limit is used up", True)]
    assert len([request for request in standin.requests if request.status == 200]) == 2


async def test_a_rate_limit_that_does_not_end_in_time_fails_at_once_and_asks_nothing(
    github: GitHub, standin: StandIn
) -> None:
    reset = int(time.time()) + 3000
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)}
    standin.fault(path=f"*{PATH}", status=403, headers=headers)
    for _ in range(2):
        with pytest.raises(RunFailure, match="used up until ") as raised:
            await github.connect(given(TOKEN), Retries(HASTY, limited_seconds=60)).get(PATH)
        assert raised.value.reason is Reason.RATE_LIMITED
    assert len(standin.requests) == 1


async def test_preflight_ends_its_other_questions_when_one_has_failed(github: GitHub, standin: StandIn) -> None:
    """A token that is refused is told at once, though another call would be tried again for minutes."""
    standin.fault(path="*/user", status=502, times=10_000)
    standin.revoke_token(TOKEN)
    connection = github.connect(given(TOKEN), Retries(Patience(total_seconds=60)))
    before = asyncio.all_tasks()
    wanted = Wanted(repo=REPOSITORY, target_branch=None, branch="gitward/1", needed_until=_soon())
    async with asyncio.timeout(10):
        with pytest.raises(RunFailure) as raised:
            await check(connection, wanted, known=Known(), admit=lambda _name: None)
    assert raised.value.reason is Reason.TOKEN_REJECTED
    assert {task for task in asyncio.all_tasks() - before if "exchange" in repr(task.get_coro())} == set()


def _soon() -> datetime:
    return datetime.now(UTC) + timedelta(minutes=5)


async def test_what_is_left_of_the_limit_is_known(github: GitHub) -> None:
    await github.connect(given(TOKEN)).get(PATH)
    [limit] = github.limits.snapshot()
    assert (limit.holder, limit.resource, limit.limit, limit.remaining) == ("token 1", "core", 5000, 4999)
    assert "ghp_" not in repr(limit)
