"""The kept work of an ended run becomes a pull request, without running anything again."""

from __future__ import annotations

import asyncio

from gitward_standin import Repository
from processes import until_output
from rig import Client, Json, Rig, output, warm_rig

COMMAND = "echo once >> once.txt; echo ran"


def address(session: Json, run: Json) -> str:
    return f"/sessions/{session['id']}/runs/{run['id']}/publish"


async def again(client: Client, session: Json, run: Json, **publish: object) -> tuple[Json, list[Json]]:
    made = await client.post(address(session, run), {"publish": publish} if publish else None)
    assert made["publish_of"] == run["id"]
    return await client.finished(session, made["id"])


async def check_published(repository: Repository, session: Json, kept: Json, ended: tuple[Json, list[Json]]) -> None:
    """The same commit, in one pull request that tells what ran; no command ran again."""
    run, events = ended
    assert (run["state"], run["changed"], run["head_sha"]) == ("succeeded", True, kept["head_sha"]), run
    assert await repository.head(session["branch"]) == run["head_sha"]
    [pull] = repository.pulls
    assert (pull.head_sha, run["pull_request"]["number"]) == (run["head_sha"], pull.number)
    assert COMMAND in (pull.body or "")
    assert f"run {kept['number']}: " in (pull.body or ""), "the run whose work it is"
    assert output(events) == ""
    assert [step["name"] for step in run["steps"]] == ["preflight", "publish", "pull_request", "settle"]


def refuse(service: Rig, repository: Repository) -> None:
    service.github.fault(method="POST", path=f"*/{repository.full_name}.git/git-receive-pack", status=403)


async def test_after_a_refused_push(service: Rig, alice_client: Client) -> None:
    repository = await service.repository()
    refuse(service, repository)
    session, run, events = await alice_client.run(repository, COMMAND)
    assert (run["state"], run["reason"]) == ("failed", "push_rejected"), run
    assert "The work is kept: publish the run again when that is fixed, or fetch its bundle." in run["message"]
    assert [event["data"]["head_sha"] for event in events if event["type"] == "work.kept"] == [run["head_sha"]]
    await check_published(repository, session, run, await again(alice_client, session, run))


async def test_after_a_dry_run(there: Rig, client: Client) -> None:
    repository = await there.repository()
    session, run, _ = await client.run(repository, COMMAND, publish={"mode": "dry_run"})
    assert run["message"] == "The change is kept as a patch; nothing was pushed."
    ended = await again(client, session, run, mode="ready", title="Better words")
    await check_published(repository, session, run, ended)
    assert (repository.pulls[0].title, repository.pulls[0].draft) == ("Better words", False)


async def test_after_a_failed_pull_request(there: Rig, client: Client) -> None:
    """The branch has it already: nothing is pushed, and what is missing is opened."""
    repository = await there.repository()
    path = f"*/repos/{repository.full_name}/pulls"
    there.github.fault(method="POST", path=path, status=422, body=b'{"message":"Validation Failed"}')
    session, run, _ = await client.run(repository, COMMAND)
    assert (run["state"], run["reason"]) == ("failed", "pull_request_failed"), run
    await check_published(repository, session, run, await again(client, session, run))
    pushes = [r for r in there.github.requests if r.path.endswith(f"{repository.name}.git/git-receive-pack")]
    assert len(pushes) == 1


async def test_the_bundle_of_a_cancelled_run(there: Rig, client: Client) -> None:
    repository = await there.repository()
    session = await client.session(repository, command=f"{COMMAND}; sleep 300")
    await until_output(client, session)
    run = session["runs"][0]
    await client.post(f"/sessions/{session['id']}/cancel", status=200)
    run, events = await client.finished(session)
    assert run["state"] == "cancelled", run
    [kept] = [event["data"] for event in events if event["type"] == "work.kept"]
    ended = await again(client, session, run)
    await check_published(repository, session, {**run, "head_sha": kept["head_sha"]}, ended)


async def test_asked_twice_at_once_it_is_one_run_and_one_pull_request(there: Rig, client: Client) -> None:
    repository = await there.repository()
    session, run, _ = await client.run(repository, COMMAND, publish={"mode": "dry_run"})
    answers = await asyncio.gather(*(client.http.post(address(session, run)) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [200, 201]
    [made] = {answer.json()["id"] for answer in answers}
    await check_published(repository, session, run, await client.finished(session, made))
    late = await client.post(address(session, run), status=200)
    assert late["id"] == made


async def test_a_push_that_is_refused_again_can_be_published_once_more(there: Rig, client: Client) -> None:
    repository = await there.repository()
    refuse(there, repository)
    session, run, _ = await client.run(repository, COMMAND)
    refuse(there, repository)
    failed, events = await again(client, session, run)
    assert (failed["state"], failed["reason"], failed["changed"]) == ("failed", "push_rejected", True), failed
    [kept] = [event["data"] for event in events if event["type"] == "work.kept"]
    assert (kept["run_id"], kept["head_sha"]) == (failed["id"], run["head_sha"])
    assert "The work is kept: publish the run again" in failed["message"]
    made = await client.post(address(session, failed))
    assert made["publish_of"] == run["id"], "the work is that of the run that did it"
    await check_published(repository, session, run, await client.finished(session, made["id"]))


async def test_a_branch_that_moved_meanwhile_loses_nothing(there: Rig, client: Client) -> None:
    repository = await there.repository()
    session, _, _ = await client.run(repository, COMMAND)
    body = {"command": "echo more > more.txt", "publish": {"mode": "dry_run"}}
    follow_up = await client.post(f"/sessions/{session['id']}/runs", body)
    dry, _ = await client.finished(session, follow_up["id"])
    assert dry["changed"] is True, dry
    moved = await repository.commit(session["branch"], {"fix-up.txt": "by a reviewer"})
    run, _ = await again(client, session, dry)
    assert (run["state"], run["reason"]) == ("failed", "push_rejected"), run
    assert run["message"] == f"{session['branch']} moved on since that run; a push of its work would drop commits."
    assert await repository.head(session["branch"]) == moved


async def test_a_branch_that_moves_in_the_last_moment_is_not_overwritten(there: Rig, client: Client) -> None:
    """Between the look at it and the push: the push names what the branch had."""
    repository = await there.repository()
    session, dry, _ = await client.run(repository, COMMAND, publish={"mode": "dry_run"})
    gate = there.github.gate(method="POST", path=f"*/{repository.full_name}.git/git-receive-pack")
    made = await client.post(address(session, dry))
    async with asyncio.timeout(300):
        await gate.reached.wait()
    taken = await repository.commit(session["branch"], {"x.txt": "x"}, start=await repository.head("main"))
    gate.open()
    run, _ = await client.finished(session, made["id"])
    assert (run["state"], run["reason"], run["head_sha"]) == ("failed", "push_rejected", dry["head_sha"]), run
    assert await repository.head(session["branch"]) == taken
    assert repository.pulls == []


async def test_nothing_to_publish_is_a_conflict(there: Rig, client: Client) -> None:
    repository = await there.repository()
    session, run, _ = await client.run(repository, "true")
    problem = await client.post(address(session, run), status=409)
    assert (problem["code"], "is kept" in problem["detail"]) == ("conflict", True), problem
    session, run, _ = await client.run(repository, COMMAND)
    problem = await client.post(address(session, run), status=409)
    assert "its pull request is open" in problem["detail"]
    assert len(repository.pulls) == 1


async def test_the_allow_rules_are_asked_again() -> None:
    """Those of now: by the request, and by the job for the name that the repository has by then."""
    async with warm_rig(GITWARD_REPOS="acme/*") as service:
        async with service.client() as client:
            repository = await service.repository()
            session, run, _ = await client.run(repository, COMMAND, publish={"mode": "dry_run"})
            moved = await service.repository()
            other, other_run, _ = await client.run(moved, COMMAND, publish={"mode": "dry_run"})
            service.github.rename_repository(moved.full_name, f"elsewhere/{moved.name}")
            failed, _ = await again(client, other, other_run)
            assert (failed["state"], failed["reason"]) == ("failed", "repository_not_found"), failed
            assert moved.pulls == []
        await service.stop()
        service.environment["GITWARD_REPOS"] = "others/*"
        await service.start()
        async with service.client() as client:
            problem = await client.post(address(session, run), status=422)
            assert problem["detail"] == "This server does not serve this repository.", problem
        assert set(await repository.branches()) == {"main"}
