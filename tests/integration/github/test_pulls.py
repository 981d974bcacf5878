"""A pull request is opened once, as asked where GitHub lets it, and told truthfully where not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from gitward.errors import Reason, RunFailure
from gitward.github.client import Connection
from gitward.github.pulls import Proposal, propose
from gitward_standin import Repository, StandIn, Token, TokenKind

REPOSITORY = "octo-org/demo"
WANTED = Proposal(
    repository=REPOSITORY,
    branch="gitward/1",
    target_branch="main",
    title="A title",
    body="A body",
    draft=True,
)


@pytest.fixture(autouse=True)
async def pushed(repository: Repository) -> None:
    """The session's branch is upstream, one commit ahead."""
    await repository.commit("gitward/1", {"new.txt": "new"}, start=await repository.head("main"))


async def test_a_draft_with_its_texts(connection: Connection, repository: Repository) -> None:
    proposed = await propose(connection, WANTED)
    [pull] = repository.pulls
    assert (pull.title, pull.body, pull.head, pull.base, pull.draft) == (
        "A title",
        "A body",
        "gitward/1",
        "main",
        True,
    )
    assert (proposed.number, proposed.url) == (1, f"https://github.com/{REPOSITORY}/pull/1")
    assert (proposed.state, proposed.draft, proposed.created, proposed.notices) == ("open", True, True, ())


async def test_a_second_call_finds_the_first_one_s(connection: Connection, repository: Repository) -> None:
    first = await propose(connection, WANTED)
    again = await propose(connection, replace(WANTED, title="Another"))
    assert again == replace(first, created=False)
    assert len(repository.pulls) == 1


async def test_a_closed_one_is_not_found_again(connection: Connection, repository: Repository) -> None:
    await propose(connection, WANTED)
    repository.pulls[0].state = "closed"
    assert (await propose(connection, WANTED)).number == 2


async def test_one_of_a_branch_with_a_longer_name_is_not_taken_for_it(
    connection: Connection, repository: Repository
) -> None:
    await repository.commit("gitward/1-more", {"x.txt": "x"}, start=await repository.head("main"))
    await propose(connection, replace(WANTED, branch="gitward/1-more"))
    assert (await propose(connection, WANTED)).created


async def test_where_drafts_are_refused_a_ready_one_is_opened_and_told(
    connection: Connection, repository: Repository
) -> None:
    repository.drafts = False
    proposed = await propose(connection, WANTED)
    assert (proposed.draft, proposed.created) == (False, True)
    assert proposed.notices == ("This repository does not support draft pull requests; a ready one was opened.",)


async def test_another_refusal_that_mentions_a_draft_is_not_taken_for_that(
    connection: Connection, repository: Repository
) -> None:
    await repository.run_git("update-ref", "refs/heads/draft-docs", "refs/heads/main")
    with pytest.raises(RunFailure, match="No commits between main and draft-docs"):
        await propose(connection, replace(WANTED, branch="draft-docs"))


async def test_another_attempt_was_faster(connection: Connection, repository: Repository, standin: StandIn) -> None:
    """Both looked before either created: the one that comes second finds the other's."""
    gate = standin.gate(method="POST", path="*/pulls")
    slow = asyncio.create_task(propose(connection, WANTED))
    async with asyncio.timeout(30):
        await gate.reached.wait()
        other = asyncio.create_task(propose(connection, WANTED))
        while sum(request.method == "POST" for request in standin.requests) < 2:
            await asyncio.sleep(0)  # lets the others on this loop go on
        gate.open()
        results = await asyncio.gather(slow, other)
    assert sorted(proposed.created for proposed in results) == [False, True]
    assert {proposed.number for proposed in results} == {1}
    assert len(repository.pulls) == 1


async def test_the_answer_was_lost_but_it_was_opened(
    connection: Connection, repository: Repository, standin: StandIn
) -> None:
    standin.fault(method="POST", path="*/pulls", status=0, applied=True)
    proposed = await propose(connection, WANTED)
    assert (proposed.number, proposed.created, len(repository.pulls)) == (1, True, 1)


async def test_labels_and_reviewers_are_asked_for(
    connection: Connection, repository: Repository, standin: StandIn
) -> None:
    standin.add_user("hubot")
    await standin.add_repository("octo-org/two", permissions={"octocat": "push", "hubot": "push"})
    two = standin.repository("octo-org/two")
    await two.commit("gitward/1", {"new.txt": "new"}, start=await two.head("main"))
    wanted = replace(WANTED, repository="octo-org/two", labels=("bug", "grün"), reviewers=("hubot",))
    assert (await propose(connection, wanted)).notices == ()
    assert list(two.pulls[0].labels) == ["bug", "grün"]
    assert [account.login for account in two.pulls[0].reviewers] == ["hubot"]


async def test_labels_come_also_to_one_that_an_earlier_attempt_left_without(
    connection: Connection, repository: Repository
) -> None:
    await propose(connection, WANTED)
    assert (await propose(connection, replace(WANTED, labels=("bug",)))).notices == ()
    assert list(repository.pulls[0].labels) == ["bug"]


async def test_what_github_does_not_do_is_told_and_undoes_nothing(
    connection: Connection, repository: Repository, standin: StandIn
) -> None:
    standin.fault(
        path="*/labels", status=403, body=json.dumps({"message": "Resource not accessible by integration"}).encode()
    )
    wanted = replace(WANTED, labels=("bug", "chore"), reviewers=("nobody",))
    proposed = await propose(connection, wanted)
    assert proposed.created
    labels, reviewers = proposed.notices
    assert labels == "GitHub did not add the labels bug, chore: 403 Resource not accessible by integration."
    assert reviewers == (
        "nobody could not be requested as reviewers: 422 Reviews may only be requested from collaborators. One or "
        "more of the users or teams you specified is not a collaborator of the octo-org/demo repository."
    )
    assert len(repository.pulls) == 1


@pytest.fixture
def colleagues(repository: Repository, standin: StandIn) -> None:
    """Two who may review, and a team that may."""
    for login in ("ann", "bob"):
        standin.add_user(login)
        repository.permissions[login] = repository.permissions["octocat"]
    standin.site.accounts.add_team("octo-org", "platform")
    standin.site.accounts.add_team("other-org", "platform")


@pytest.mark.usefixtures("colleagues")
@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("octocat", "422 Review cannot be requested from pull request author"),
        ("gone", "422 Reviews may only be requested from collaborators. One or more of the users or teams"),
        ("octo-org/none", "422 Reviews may only be requested from collaborators. One or more of the teams"),
        ("other-org/platform", "only teams of octo-org can review here."),
    ],
)
async def test_one_bad_reviewer_loses_none_of_the_others(
    connection: Connection, repository: Repository, bad: str, reason: str
) -> None:
    wanted = replace(WANTED, reviewers=("ann", bad, "OCTO-org/platform", "bob"))
    (notice,) = (await propose(connection, wanted)).notices
    assert notice.startswith(f"{bad} could not be requested as reviewers: {reason}")
    [pull] = repository.pulls
    assert [account.login for account in pull.reviewers] == ["ann", "bob"]
    assert [(team.organization.login, team.slug) for team in pull.teams] == [("octo-org", "platform")]


@pytest.mark.usefixtures("colleagues")
async def test_who_is_refused_for_the_same_reason_is_told_in_one_sentence(connection: Connection) -> None:
    (notice,) = (await propose(connection, replace(WANTED, reviewers=("gone", "ann", "lost", "gone")))).notices
    assert notice.startswith("gone, lost could not be requested as reviewers: 422 Reviews may only be requested")


async def test_one_bad_label_loses_none_of_the_others(connection: Connection, repository: Repository) -> None:
    wanted = replace(WANTED, labels=("bug", "x" * 51, "chore"))
    assert (await propose(connection, wanted)).notices == (
        f"GitHub did not add the label {'x' * 51}: 422 Validation Failed: Label name is invalid.",
    )
    assert repository.pulls[0].labels == ["bug", "chore"]


async def test_another_success_than_the_usual_one_is_no_refusal(connection: Connection, standin: StandIn) -> None:
    standin.fault(path="*/labels", status=201, body=b"[]")
    standin.fault(path="*/requested_reviewers", status=200, body=b"{}")
    assert (await propose(connection, replace(WANTED, labels=("bug",), reviewers=("ann",)))).notices == ()


async def test_an_answer_without_words_is_told_by_its_number(connection: Connection, standin: StandIn) -> None:
    standin.fault(path="*/requested_reviewers", status=404, body=b"")
    (notice,) = (await propose(connection, replace(WANTED, reviewers=("ann",)))).notices
    assert notice == "ann could not be requested as reviewers: 404."


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (
            Token(login="octocat", kind=TokenKind.FINE_GRAINED, repositories=(REPOSITORY,), push=False),
            "403 Resource not accessible by personal access token",
        ),
        (
            Token(login=None, kind=TokenKind.APP, repositories=(REPOSITORY,), push=False),
            "403 Resource not accessible by integration",
        ),
    ],
)
async def test_a_token_that_may_not_open_one(connect: Callable[[Token], Connection], token: Token, words: str) -> None:
    with pytest.raises(RunFailure) as raised:
        await propose(connect(token), WANTED)
    assert raised.value.reason is Reason.PULL_REQUEST_FAILED
    assert words in raised.value.message
    assert "the branch gitward/1 is pushed, so you can open one by hand" in raised.value.message


async def test_a_token_that_may_not_list_them(connection: Connection, standin: StandIn) -> None:
    standin.fault(method="GET", path="*/pulls", status=403)
    with pytest.raises(RunFailure) as raised:
        await propose(connection, WANTED)
    assert raised.value.reason is Reason.PULL_REQUEST_FAILED
    assert "Pull requests: read and write" in raised.value.message


async def test_rate_limits_keep_their_reason(connection: Connection, standin: StandIn) -> None:
    standin.fault(method="POST", path="*/pulls", status=403, headers={"Retry-After": "60"})
    with pytest.raises(RunFailure) as raised:
        await propose(connection, WANTED)
    assert raised.value.reason is Reason.RATE_LIMITED
