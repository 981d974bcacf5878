"""A branch that is upstream is the session's own when GitHub says that the session's work is in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gitward.errors import Reason, RunFailure
from gitward.github.client import Connection
from gitward.github.ownership import Known
from gitward.github.preflight import Facts, Wanted, check
from gitward_standin import Repository, StandIn
from gitward_standin.changes import open_pull
from gitward_standin.merging import delete_ref, merge
from gitward_standin.model import PullRequest

REPOSITORY, BRANCH = "octo-org/demo", "gitward/1"


async def ask(connection: Connection, **known: Any) -> Facts:
    needed = datetime.now(UTC) + timedelta(hours=1)
    wanted = Wanted(repo=REPOSITORY, target_branch="main", branch=BRANCH, needed_until=needed)
    return await check(connection, wanted, known=Known(**known), admit=lambda _name: None)


async def refused(connection: Connection, **known: Any) -> str:
    with pytest.raises(RunFailure) as raised:
        await ask(connection, **known)
    assert raised.value.reason is Reason.PUSH_REJECTED
    return raised.value.message


@pytest.fixture
async def pushed(repository: Repository) -> str:
    """The session's branch with one commit beyond main."""
    return await repository.commit(BRANCH, {"a.txt": "1"}, start=await repository.head("main"))


async def propose(standin: StandIn, repository: Repository, head: str = BRANCH) -> PullRequest:
    author = standin.site.accounts.get("octocat")
    return await open_pull(standin.site, repository, author, head=head, base="main", title="T", body=None, draft=False)


class TestBranch:
    async def test_one_that_the_session_does_not_know_is_somebody_else_s(
        self, connection: Connection, pushed: str, repository: Repository
    ) -> None:
        """Also after a dry run took the name, and when it has what the session was about to push and more."""
        assert "already exists in octo-org/demo" in await refused(connection)
        assert "post a session with another branch" in await refused(connection, heads=("a" * 40,))
        assert "already exists in" in await refused(connection, pushed_sha="a" * 40)
        await repository.commit(BRANCH, {"b.txt": "2"})
        assert "already exists in" in await refused(connection, heads=(pushed,))

    async def test_where_the_session_pushed_it_or_was_about_to(self, connection: Connection, pushed: str) -> None:
        """A lost worker may not have noted that its push arrived."""
        assert (await ask(connection, pushed_sha=pushed)).branch_sha == pushed
        assert (await ask(connection, heads=("a" * 40, pushed))).branch_sha == pushed

    async def test_somebody_pushed_upon_it(self, connection: Connection, pushed: str, repository: Repository) -> None:
        tip = await repository.commit(BRANCH, {"b.txt": "2"})
        assert (await ask(connection, pushed_sha=pushed)).branch_sha == tip

    async def test_somebody_made_it_anew(self, connection: Connection, repository: Repository) -> None:
        """What the session pushed is not in it, though both grew from the same commit."""
        start = await repository.head("main")
        pushed = await repository.commit("elsewhere", {"a.txt": "1"}, start=start)
        await repository.commit(BRANCH, {"b.txt": "2"}, start=start)
        assert "did not push its commits" in await refused(connection, pushed_sha=pushed)

    async def test_somebody_took_commits_away(self, connection: Connection, repository: Repository) -> None:
        first = await repository.commit(BRANCH, {"a.txt": "1"})
        second = await repository.commit(BRANCH, {"b.txt": "2"})
        await repository.run_git("update-ref", f"refs/heads/{BRANCH}", first)
        assert "already exists in" in await refused(connection, pushed_sha=second)


class TestPullRequest:
    async def test_the_head_of_the_session_s_open_one_is_its_own(
        self, standin: StandIn, connection: Connection, repository: Repository, pushed: str
    ) -> None:
        """A reviewer may have rebased it: nothing of what the session pushed is left."""
        pull = await propose(standin, repository)
        await repository.run_git("update-ref", f"refs/heads/{BRANCH}", str(await repository.head("main")))
        tip = await repository.commit(BRANCH, {"a.txt": "rebased"})
        await repository.follow_pushes()
        facts = await ask(connection, pushed_sha=pushed, pull_request=pull.number)
        assert (facts.branch_sha, facts.pull_request_state, facts.merge_commit_sha) == (tip, "open", None)
        pull.close()
        assert "already exists in" in await refused(connection, pushed_sha=pushed, pull_request=pull.number)

    async def test_where_a_merged_one_ended_it_is_its_own(
        self, standin: StandIn, connection: Connection, repository: Repository, pushed: str
    ) -> None:
        """A reviewer rewrote it before the merge; what somebody puts there afterwards is somebody else's."""
        pull = await propose(standin, repository)
        await repository.run_git("update-ref", f"refs/heads/{BRANCH}", str(await repository.head("main")))
        tip = await repository.commit(BRANCH, {"a.txt": "rewritten"})
        await repository.follow_pushes()
        await merge(pull, by=standin.site.accounts.get("octocat"))
        facts = await ask(connection, pushed_sha=pushed, pull_request=pull.number)
        assert (facts.branch_sha, facts.pull_request_head_sha, facts.pull_request_state) == (tip, tip, "merged")
        await repository.commit(BRANCH, {"more.txt": "1"})
        assert "already exists in" in await refused(connection, pushed_sha=pushed, pull_request=pull.number)

    async def test_that_of_another_branch_says_nothing(
        self, standin: StandIn, connection: Connection, repository: Repository, pushed: str
    ) -> None:
        await repository.commit("other", {"c.txt": "3"}, start=await repository.head("main"))
        pull = await propose(standin, repository, "other")
        assert "already exists in" in await refused(connection, pull_request=pull.number)

    async def test_what_became_of_it_is_told(
        self, standin: StandIn, connection: Connection, repository: Repository, pushed: str
    ) -> None:
        """Also when its branch is gone."""
        pull = await propose(standin, repository)
        commit = await merge(pull, by=standin.site.accounts.get("octocat"))
        facts = await ask(connection, pushed_sha=pushed, pull_request=pull.number)
        known = (facts.pull_request_state, facts.pull_request_head_sha, facts.merge_commit_sha)
        assert known == ("merged", pushed, commit)
        assert facts.branch_sha == pushed
        await delete_ref(repository, f"refs/heads/{BRANCH}")
        facts = await ask(connection, pushed_sha=pushed, pull_request=pull.number)
        assert (facts.branch_sha, facts.pull_request_head_sha) == (None, pushed)
        assert facts.pull_request_state == "merged"

    async def test_one_that_was_closed_has_no_merge(
        self, standin: StandIn, connection: Connection, repository: Repository, pushed: str
    ) -> None:
        pull = await propose(standin, repository)
        pull.close()
        pull.merge_sha = "f" * 40  # of GitHub's own trial, which it tells as well
        facts = await ask(connection, pushed_sha=pushed, pull_request=pull.number)
        assert (facts.pull_request_state, facts.merge_commit_sha) == ("closed", None)

    @pytest.mark.parametrize("number", [None, 4711])
    async def test_without_one_nothing_is_told(self, connection: Connection, number: int | None) -> None:
        facts = await ask(connection, pull_request=number)
        assert (facts.pull_request_state, facts.pull_request_head_sha, facts.merge_commit_sha) == (None, None, None)
