"""GitHub refuses a push for a private e-mail address of the token's owner: it is made anew without, and pushed."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest_asyncio

from gitward_standin import Repository, Token
from rig import LOGIN, Client, Json, Rig, warm_rig

PRIVATE = "octocat@example.com"
COMMIT = f"""
echo x > x.txt; git add x.txt
git -c user.email=other@example.org commit -qm first --author='Other <other@example.org>'
git -c user.name=Me -c user.email={PRIVATE} commit -q --allow-empty -m second
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def strict() -> AsyncIterator[Rig]:
    """A service whose token's owner blocks pushes that tell the private address."""
    async with warm_rig() as made:
        made.github.add_user(LOGIN, name="The Octocat", email=PRIVATE, blocks_private_email=True)
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def caller(strict: Rig) -> AsyncIterator[Client]:
    async with strict.client() as made:
        yield made


async def authors(repository: Repository, branch: str) -> list[str]:
    listed = await repository.run_git("log", "--format=%s %ae %ce", f"main..{branch}")
    return [re.sub(r"\d+\+", "N+", line) for line in listed.decode().splitlines()]


def notices(events: list[Json]) -> list[str]:
    return [event["data"]["message"] for event in events if event["type"] == "notice"]


async def check_replaced(caller: Client, repository: Repository, session: Json, run: Json) -> None:
    """What was pushed, told and kept is the same: without the private address, with the other person's."""
    assert (run["state"], run["pull_request"]["number"]) == ("succeeded", 1), run
    assert await repository.head(session["branch"]) == run["head_sha"] == repository.pulls[0].head_sha
    noreply = f"N+{LOGIN}@users.noreply.github.com"
    assert await authors(repository, session["branch"]) == [
        f"second {noreply} {noreply}",
        "first other@example.org other@example.org",
    ]
    kinds = {kind: await caller.http.get(f"/sessions/{session['id']}/{kind}") for kind in ("patch", "bundle")}
    assert PRIVATE not in kinds["patch"].text
    assert run["head_sha"].encode() in kinds["bundle"].content[:1000]
    pushed = [
        e for e in (await caller.get(f"/sessions/{session['id']}/events"))["items"] if e["type"] == "branch.pushed"
    ]
    assert [event["data"]["head_sha"] for event in pushed] == [run["head_sha"]]


async def test_a_command_s_commits_are_made_anew(strict: Rig, caller: Client) -> None:
    repository = await strict.repository()
    session, run, events = await caller.run(repository, COMMIT)
    await check_replaced(caller, repository, session, run)
    [told] = notices(events)
    assert told.startswith("GitHub refused a private e-mail address of the token's owner"), told
    follow_up = await caller.post(f"/sessions/{session['id']}/runs", {"command": "echo more >> x.txt"})
    again, events = await caller.finished(session, follow_up["id"])
    assert (again["state"], again["pull_request"]["number"], notices(events)) == ("succeeded", 1, []), again


async def test_kept_work_that_is_published_again_too(strict: Rig, caller: Client) -> None:
    repository = await strict.repository()
    session, dry, _ = await caller.run(repository, COMMIT, publish={"mode": "dry_run"})
    made = await caller.post(f"/sessions/{session['id']}/runs/{dry['id']}/publish")
    run, events = await caller.finished(session, made["id"])
    await check_replaced(caller, repository, session, run)
    assert run["head_sha"] != dry["head_sha"]
    assert len(notices(events)) == 1


async def test_an_address_that_is_not_known_as_the_owner_s_is_left_alone() -> None:
    """The token may not ask for the owner's addresses: GitHub's words, and what would help."""
    value = "ghp_UNSCOPED" + "0" * 28
    async with warm_rig(GITHUB_TOKEN=value) as other:
        other.github.add_token(value, Token(login=LOGIN, scopes=("repo",)))
        other.github.add_user(LOGIN, name="The Octocat", email=PRIVATE, blocks_private_email=True)
        async with other.client() as caller:
            repository = await other.repository()
            _, run, events = await caller.run(repository, COMMIT)
            assert (run["state"], run["reason"]) == ("failed", "push_rejected"), run
            assert "GitHub refused the push (GH007)" in run["message"]
            assert "With the scope `user:email` the token would show" in run["message"]
            assert "publish the run again when that is fixed" in run["message"]
            assert notices(events) == []
            [kept] = [event["data"] for event in events if event["type"] == "work.kept"]
            assert kept["head_sha"] == run["head_sha"]
            pushes = [r for r in other.github.requests if r.path.endswith("/git-receive-pack")]
            assert len(pushes) == 1, "nothing was changed, so nothing is tried again"


async def test_the_operator_s_own_choice_is_replaced_when_github_refuses_it() -> None:
    """Also by a token that may not ask: Gitward itself has signed with that address."""
    value = "ghp_UNSCOPED" + "1" * 28
    settings = {"GITHUB_TOKEN": value, "GITWARD_COMMIT_EMAIL": PRIVATE, "GITWARD_COMMIT_NAME": "Me"}
    async with warm_rig(None, **settings) as service, service.client() as caller:
        service.github.add_token(value, Token(login=LOGIN, scopes=("repo",)))
        service.github.add_user(LOGIN, name="The Octocat", email=PRIVATE, blocks_private_email=True)
        repository = await service.repository()
        session, run, events = await caller.run(repository, "echo x > x.txt", commit_message="Add x")
        assert run["state"] == "succeeded", (run, events)
        assert PRIVATE not in str(await authors(repository, session["branch"]))


async def test_a_refusal_that_stays_is_no_loop() -> None:
    """GitHub takes the second push no more than the first: there is no third, and the work is kept as it is by then."""
    async with warm_rig() as service, service.client() as caller:
        service.github.add_user(LOGIN, name="The Octocat", email=PRIVATE)
        hook = service.github.site.git.hooks / "pre-receive"
        hook.write_text(
            "#!/bin/sh\necho 'error: GH007: Your push would publish a private email address.' >&2; exit 1\n"
        )
        hook.chmod(0o755)
        repository = await service.repository()
        session, run, events = await caller.run(repository, COMMIT)
        assert (run["state"], run["reason"], run["changed"]) == ("failed", "push_rejected", True), run
        assert "GitHub refused the push (GH007)" in run["message"]
        pushes = [r for r in service.github.requests if r.path.endswith(f"{repository.name}.git/git-receive-pack")]
        assert len(pushes) == 2
        [kept] = [event["data"] for event in events if event["type"] == "work.kept"]
        assert kept["head_sha"] == run["head_sha"]
        patch = (await caller.http.get(f"/sessions/{session['id']}/patch")).text
        assert PRIVATE not in patch
