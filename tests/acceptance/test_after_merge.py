"""The session goes on when its pull request was merged or closed: from the target, with a new pull request."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gitward_standin import PullRequest, Repository
from gitward_standin.clock import now
from gitward_standin.merging import delete_ref, merge
from rig import LOGIN, Client, Json, Rig, output

ONE, TWO = "echo one > one.txt", "git rev-parse HEAD; echo two > two.txt"


async def parsed(repository: Repository, expression: str) -> str:
    return (await repository.run_git("rev-parse", "--verify", expression)).decode().strip()


async def merged(service: Rig, pull: PullRequest) -> None:
    await merge(pull, by=service.github.site.accounts.get(LOGIN))


async def squashed(service: Rig, pull: PullRequest) -> None:
    """All of it as one commit of the target."""
    await _recommitted(service, pull, [await parsed(pull.repository, f"{pull.head_sha}^{{tree}}")])


async def rebased(service: Rig, pull: PullRequest) -> None:
    """Each commit anew, as GitHub does it even where the target has not moved."""
    listed = await pull.repository.run_git("log", "--reverse", "--format=%T", f"{pull.base}..{pull.head_sha}")
    await _recommitted(service, pull, listed.decode().split())


async def _recommitted(service: Rig, pull: PullRequest, trees: list[str]) -> None:
    repository, tip = pull.repository, await pull.repository.head(pull.base) or ""
    for tree in trees:
        tip = (await repository.run_git("commit-tree", tree, "-p", tip, "-m", f"{pull.title} (#1)")).decode().strip()
    await repository.run_git("update-ref", f"refs/heads/{pull.base}", tip)
    pull.close()
    pull.merged_at, pull.merged_by, pull.merge_sha = now(), service.github.site.accounts.get(LOGIN), tip


async def closed(_service: Rig, pull: PullRequest) -> None:
    pull.close()


End = Callable[[Rig, PullRequest], Awaitable[None]]
ENDS = [merged, squashed, rebased, closed]


async def proposed(service: Rig, client: Client, command: str = ONE) -> tuple[Repository, Json, PullRequest]:
    """A session with a pull request that is ready."""
    repository = await service.repository()
    session, run, _ = await client.run(repository, command, publish={"mode": "ready"})
    assert run["state"] == "succeeded", run
    [pull] = repository.pulls
    return repository, session, pull


async def follow(client: Client, session: Json, command: str, **body: object) -> tuple[Json, list[Json]]:
    run = await client.post(f"/sessions/{session['id']}/runs", {"command": command, **body})
    return await client.finished(session, run["id"])


async def retried(client: Client, session: Json, run: Json) -> tuple[Json, list[Json]]:
    again = await client.post(f"/sessions/{session['id']}/runs/{run['id']}/retry")
    return await client.finished(session, again["id"])


def notices(events: list[Json]) -> list[str]:
    return [event["data"]["message"] for event in events if event["type"] == "notice"]


def opened(events: list[Json]) -> list[int]:
    return [event["data"]["number"] for event in events if event["type"] == "pull_request.opened"]


async def left(client: Client, session: Json, run: Json, folder: Path) -> dict[str, str]:
    """What the run's bundle has beside its change, by the last part of its name."""
    bundle = folder / "run.bundle"
    bundle.write_bytes((await client.http.get(f"/sessions/{session['id']}/bundle?run_id={run['id']}")).content)
    listed = subprocess.run(
        ["git", "bundle", "list-heads", str(bundle)], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    refs = (line.split(" ") for line in listed.splitlines())
    return {name.rpartition("/")[2]: oid for oid, name in refs if name.startswith("refs/gitward/left/")}


async def check_anew(client: Client, session: Json, repository: Repository, ended: tuple[Json, list[Json]]) -> None:
    """The run began at the target and proposes its own change alone, in a new pull request."""
    (run, events), main = ended, await repository.head("main")
    assert run["state"] == "succeeded", (run, output(events))
    assert await parsed(repository, f"{run['head_sha']}^") == main
    assert await repository.head(session["branch"]) == run["head_sha"]
    first, second = repository.pulls
    assert (second.state, second.head, second.head_sha) == ("open", session["branch"], run["head_sha"])
    assert (run["pull_request"]["number"], opened(events)) == (second.number, [second.number])
    shown = await client.get(f"/sessions/{session['id']}")
    assert shown["pull_request"]["number"] == second.number != first.number


@pytest.mark.parametrize("deleted", [False, True], ids=["kept", "deleted"])
@pytest.mark.parametrize("end", ENDS)
async def test_a_follow_up_starts_at_the_target_with_a_new_pull_request(
    there: Rig, client: Client, tmp_path: Path, end: End, deleted: bool
) -> None:
    repository, session, pull = await proposed(there, client)
    await end(there, pull)
    if deleted:
        await delete_ref(repository, f"refs/heads/{session['branch']}")
    main, old = await repository.head("main"), pull.head_sha
    run, events = await follow(client, session, TWO)
    assert output(events) == f"{main}\n"
    await check_anew(client, session, repository, (run, events))
    told = notices(events)
    ending = "was closed without a merge" if end is closed else "was merged"
    assert told[0].startswith(f"Pull request #1 {ending}"), told
    lost = end is closed and not deleted
    assert await left(client, session, run, tmp_path) == ({"1-closed": old} if lost else {})
    assert [notice for notice in told if f"the last is {old}" in notice and "refs/gitward/left/1-closed" in notice] == (
        told[1:] if lost else []
    )
    assert len(told) == (2 if lost else 1)


@pytest.mark.parametrize("end", ENDS)
async def test_what_somebody_pushed_after_the_end_is_gone_on_from(there: Rig, client: Client, end: End) -> None:
    repository, session, pull = await proposed(there, client)
    await end(there, pull)
    more = await repository.commit(session["branch"], {"more.txt": "by a reviewer"})
    run, events = await follow(client, session, TWO)
    assert run["state"] == "succeeded", (run, output(events))
    assert output(events) == f"{more}\n"
    assert await parsed(repository, f"{run['head_sha']}^") == more
    assert await repository.head(session["branch"]) == run["head_sha"]
    [told] = notices(events)
    assert told.startswith(f"Somebody pushed to {session['branch']} after pull request #1 was ")
    assert [each.number for each in repository.pulls] == [1, *opened(events)]


@pytest.mark.parametrize("end", ENDS)
async def test_a_follow_up_that_changes_nothing_moves_nothing(there: Rig, client: Client, end: End) -> None:
    repository, session, pull = await proposed(there, client)
    await end(there, pull)
    run, _ = await follow(client, session, "true")
    assert (run["state"], run["changed"], run["pull_request"]) == ("succeeded", False, None), run
    assert await repository.head(session["branch"]) == pull.head_sha
    assert len(repository.pulls) == 1
    state = (await client.get(f"/sessions/{session['id']}"))["pull_request"]["state"]
    assert state == ("closed" if end is closed else "merged")


async def test_a_branch_that_a_reviewer_rewrote_before_the_merge_is_the_session_s_own(
    there: Rig, client: Client
) -> None:
    repository, session, pull = await proposed(there, client)
    tree = await parsed(repository, f"{pull.head_sha}^{{tree}}")
    rewritten = (await repository.run_git("commit-tree", tree, "-p", "main", "-m", "Better words")).decode().strip()
    await repository.run_git("update-ref", f"refs/heads/{session['branch']}", rewritten)
    await repository.follow_pushes()
    await squashed(there, pull)
    await check_anew(client, session, repository, await follow(client, session, TWO))


async def test_a_closed_pull_request_s_work_that_the_target_has_is_not_kept_again(
    there: Rig, client: Client, tmp_path: Path
) -> None:
    repository, session, pull = await proposed(there, client)
    await repository.run_git("update-ref", "refs/heads/main", pull.head_sha)
    pull.close()
    run, events = await follow(client, session, TWO)
    await check_anew(client, session, repository, (run, events))
    assert await left(client, session, run, tmp_path) == {}


@pytest.mark.parametrize("deleted", [False, True], ids=["kept", "deleted"])
async def test_a_merge_while_the_command_runs_loses_nothing(there: Rig, client: Client, deleted: bool) -> None:
    """On a branch that is kept the work gets a pull request of its own; beside a deleted one it is kept, and told."""
    repository, session, pull = await proposed(there, client)
    follow_up = await client.post(f"/sessions/{session['id']}/runs", {"command": TWO})
    gate = there.github.gate(method="POST", path=f"*/{repository.full_name}.git/git-receive-pack")
    async with asyncio.timeout(300):
        await gate.reached.wait()
    await squashed(there, pull)
    if deleted:
        await delete_ref(repository, f"refs/heads/{session['branch']}")
    gate.open()
    run, events = await client.finished(session, follow_up["id"])
    if not deleted:
        assert (run["state"], run["pull_request"]["number"], opened(events)) == ("succeeded", 2, [2]), run
        return
    assert (run["state"], run["reason"]) == ("failed", "push_rejected"), run
    assert [event["data"]["head_sha"] for event in events if event["type"] == "work.kept"] == [run["head_sha"]]
    await check_anew(client, session, repository, await retried(client, session, run))


async def test_two_follow_ups_one_after_the_other(there: Rig, client: Client) -> None:
    """The second goes on from the first, in its pull request."""
    repository, session, pull = await proposed(there, client)
    await squashed(there, pull)
    first, _ = await follow(client, session, TWO)
    second, events = await follow(client, session, "echo three > three.txt")
    assert (second["state"], second["pull_request"]["number"]) == ("succeeded", 2), (second, output(events))
    assert await parsed(repository, f"{second['head_sha']}^") == first["head_sha"]
    assert (notices(events), opened(events), len(repository.pulls)) == ([], [], 2)


async def test_a_reopened_pull_request_is_gone_on_with(there: Rig, client: Client) -> None:
    repository, session, pull = await proposed(there, client)
    pull.close()
    run, _ = await follow(client, session, "true")
    assert run["changed"] is False
    pull.reopen()
    run, _ = await follow(client, session, TWO)
    assert (run["state"], run["pull_request"]["number"]) == ("succeeded", 1), run
    assert len(repository.pulls) == 1


class TestRetry:
    async def test_of_the_run_whose_change_was_merged_finds_nothing_to_do(self, there: Rig, client: Client) -> None:
        repository, session, pull = await proposed(there, client)
        await squashed(there, pull)
        run, _ = await retried(client, session, session["runs"][0])
        assert (run["state"], run["changed"], run["pull_request"]) == ("succeeded", False, None), run
        assert len(repository.pulls) == 1

    async def test_of_the_run_whose_change_was_closed_proposes_it_anew(self, there: Rig, client: Client) -> None:
        repository, session, pull = await proposed(there, client)
        await repository.commit("main", {"meanwhile.txt": "x"})
        pull.close()
        await check_anew(client, session, repository, await retried(client, session, session["runs"][0]))

    @pytest.mark.parametrize("end", [squashed, closed])
    async def test_of_a_follow_up_that_pushed_and_proposed_nothing_opens_what_is_missing(
        self, there: Rig, client: Client, end: End
    ) -> None:
        """What the session itself pushed after the end is nobody else's, and is not taken away again."""
        repository, session, pull = await proposed(there, client)
        await end(there, pull)
        path = f"*/repos/{repository.full_name}/pulls"
        there.github.fault(method="POST", path=path, status=422, body=b'{"message":"Validation Failed"}')
        failed, _ = await follow(client, session, TWO)
        assert (failed["state"], failed["reason"]) == ("failed", "pull_request_failed"), failed
        run, events = await retried(client, session, failed)
        assert run["head_sha"] == failed["head_sha"]
        await check_anew(client, session, repository, (run, events))
        assert notices(events) == []


class TestPublishAgain:
    async def again(self, client: Client, session: Json, run: Json, **publish: object) -> tuple[Json, list[Json]]:
        body = {"publish": publish} if publish else None
        made = await client.post(f"/sessions/{session['id']}/runs/{run['id']}/publish", body)
        return await client.finished(session, made["id"])

    @pytest.mark.parametrize("end", ENDS)
    async def test_of_a_dry_run_that_began_at_the_target(
        self, there: Rig, client: Client, tmp_path: Path, end: End
    ) -> None:
        repository, session, pull = await proposed(there, client)
        await end(there, pull)
        dry, _ = await follow(client, session, TWO, publish={"mode": "dry_run"})
        assert await repository.head(session["branch"]) == pull.head_sha
        run, events = await self.again(client, session, dry)
        assert run["head_sha"] == dry["head_sha"]
        await check_anew(client, session, repository, (run, events))
        assert await left(client, session, run, tmp_path) == ({"1-closed": pull.head_sha} if end is closed else {})

    async def test_of_what_was_closed_opens_a_new_one(self, there: Rig, client: Client) -> None:
        repository, session, pull = await proposed(there, client)
        pull.close()
        await follow(client, session, "true")  # by which the session learns of it
        run, events = await self.again(client, session, session["runs"][0])
        assert (run["state"], run["head_sha"]) == ("succeeded", pull.head_sha), (run, events)
        assert (opened(events), repository.pulls[1].head_sha) == ([2], pull.head_sha)

    @pytest.mark.parametrize("deleted", [False, True], ids=["kept", "deleted"])
    @pytest.mark.parametrize("end", [merged, squashed])
    async def test_of_what_was_merged_proposes_nothing(
        self, there: Rig, client: Client, end: End, deleted: bool
    ) -> None:
        repository, session, pull = await proposed(there, client)
        await end(there, pull)
        if deleted:
            await delete_ref(repository, f"refs/heads/{session['branch']}")
        await follow(client, session, "true")
        run, _ = await self.again(client, session, session["runs"][0])
        assert (run["state"], run["changed"], run["pull_request"]) == ("succeeded", False, None), run
        assert len(repository.pulls) == 1
        assert await repository.head(session["branch"]) == (None if deleted else pull.head_sha)

    async def test_of_work_to_which_somebody_pushed_more_drops_nothing(self, there: Rig, client: Client) -> None:
        repository, session, pull = await proposed(there, client)
        await squashed(there, pull)
        dry, _ = await follow(client, session, TWO, publish={"mode": "dry_run"})
        more = await repository.commit(session["branch"], {"more.txt": "by a reviewer"})
        run, _ = await self.again(client, session, dry)
        assert (run["state"], run["reason"]) == ("failed", "push_rejected"), run
        assert "a push of its work would drop commits" in run["message"]
        assert await repository.head(session["branch"]) == more
