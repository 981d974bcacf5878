# ruff: noqa: E501 - a shell command stands on one line of its table
"""Work that is left in odd places, through the service: of runs that end, fail, are cancelled or lose their worker."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from pathlib import Path

import pytest

from gitward_standin import Repository
from processes import until_output
from rig import Client, Json, Rig, warm_rig

COMMIT = "git add -A; git -c user.name=a -c user.email=a@b commit -qm work"
CONFLICT = f"echo mine > README.md; git stash -q; echo theirs > README.md; {COMMIT}; git stash pop -q || true"
SUBMODULE = f"""
git init -q --bare ../lib.git; git clone -q ../lib.git ../first 2>/dev/null; cd ../first; echo 1 > one; {COMMIT}
git push -q origin HEAD:main; git -C ../lib.git symbolic-ref HEAD refs/heads/main; cd ../repo
git -c protocol.file.allow=always submodule --quiet add /workspace/lib.git lib; cd lib; echo x > x.txt; {COMMIT}; cd ..
"""
# Where it is left, the words that a person reads, the artifact that has x.txt, and its path in it.
WAYS = {
    "other branch": (
        f"git switch -qc fix/typo; echo x > x.txt; {COMMIT}; git switch -q -",
        "branch fix/typo",
        "bundle",
    ),
    "stash": ("echo x > x.txt; git stash -qu", "stash 0", "bundle"),
    "conflict": (f"echo x > x.txt; {CONFLICT}", "conflicts in README.md", "bundle"),
    "nested": ("git init -q app; echo 1 > app/main; echo x > x.txt", "repositories of their own: app", "bundle"),
    "submodule": (SUBMODULE, "The change moves lib", "submodules"),
}


async def told(run: Json, events: list[Json]) -> str:
    notices = [event["data"]["message"] for event in events if event["type"] == "notice"]
    return "\n".join([run["message"] or "", *notices])


async def files_of(client: Client, repository: Repository, session: Json, kind: str, folder: Path) -> set[str]:
    """The files of all that a bundle brings beyond what it builds upon."""
    query = {"of": "submodules"} if kind == "submodules" else {}
    answer = await client.http.get(f"/sessions/{session['id']}/bundle", params=query)
    assert answer.status_code == 200, answer.text
    bundle = folder / "kept.bundle"
    bundle.write_bytes(answer.content)
    return await asyncio.to_thread(_files_of, bundle, repository.path, folder / "clone", kind)


def _files_of(bundle: Path, repository: Path, clone: Path, kind: str) -> set[str]:
    def git(*arguments: str) -> str:
        ended = subprocess.run(["git", *arguments], capture_output=True, check=False, timeout=60)
        assert ended.returncode == 0, ended.stderr.decode()
        return ended.stdout.decode()

    git("clone", "--quiet", "--bare", str(repository), str(clone))
    if kind == "submodules":
        return {"x.txt"} if "submodule-1" in git("bundle", "list-heads", str(bundle)) else set()
    git("-C", str(clone), "fetch", "--quiet", str(bundle), "+refs/*:refs/kept/*")
    names = git("-C", str(clone), "for-each-ref", "--format=%(refname)", "refs/kept").split()
    return {name for ref in names for name in git("-C", str(clone), "ls-tree", "-r", "--name-only", ref).split()}


@pytest.mark.parametrize(("command", "words", "kind"), WAYS.values(), ids=WAYS)
async def test_a_run_that_fails_keeps_it(
    there: Rig, client: Client, tmp_path: Path, *, command: str, words: str, kind: str
) -> None:
    repository = await there.repository()
    session, run, events = await client.run(repository, f"{command}\nexit 3")
    assert (run["state"], run["exit_code"]) == ("failed", 3), run
    assert "x.txt" in await files_of(client, repository, session, kind, tmp_path), await told(run, events)
    [kept] = [event["data"] for event in events if event["type"] == "work.kept"]
    assert kind in kept["artifacts"]


@pytest.mark.parametrize(("command", "words", "kind"), WAYS.values(), ids=WAYS)
async def test_a_run_that_is_cancelled_keeps_it(
    there: Rig, client: Client, tmp_path: Path, *, command: str, words: str, kind: str
) -> None:
    repository = await there.repository()
    session = await client.session(repository, command=f"{command}\necho started; sleep 300")
    await until_output(client, session)
    await client.post(f"/sessions/{session['id']}/cancel", status=200)
    run, events = await client.finished(session)
    assert run["state"] == "cancelled"
    assert "x.txt" in await files_of(client, repository, session, kind, tmp_path), await told(run, events)


@pytest.mark.parametrize(
    ("way", "reason"),
    [("other branch", None), ("stash", "work_not_on_branch"), ("conflict", "task_failed"), ("nested", None),
     ("submodule", "work_not_on_branch")],
)  # fmt: skip
async def test_a_run_that_ends_tells_it(
    there: Rig, client: Client, tmp_path: Path, way: str, reason: str | None
) -> None:
    command, words, kind = WAYS[way]
    repository = await there.repository()
    session, run, events = await client.run(repository, command)
    assert run["reason"] == reason, run
    assert words in await told(run, events)
    assert (run["pull_request"] is None) == (reason is not None)
    assert "x.txt" in await files_of(client, repository, session, kind, tmp_path)


async def test_an_attempt_that_lost_its_worker_keeps_all_of_it(tmp_path: Path) -> None:
    """Another branch, a stash, a nested repository and a submodule's commit, and then kill -9."""
    commands = "\n".join(WAYS[way][0] for way in ("other branch", "stash", "nested", "submodule"))
    async with warm_rig() as service:
        seen = "/workspace/cache/seen"
        command = f"test -e {seen} && exit 3; mkdir -p /workspace/cache; touch {seen}\n{{ {commands}\n}} >/dev/null 2>&1; echo started; sleep 300"
        async with service.client() as client:
            repository = await service.repository()
            session = await client.session(repository, command=command)
            await until_output(client, session)
        await service.stop(signal.SIGKILL)
        await service.start()
        async with service.client() as client:
            run, events = await client.finished(session)
            [kept] = [event["data"] for event in events if event["type"] == "work.kept"]
            assert (kept["attempt"], "submodules" in kept["artifacts"]) == (1, True), await told(run, events)
            assert "x.txt" in await files_of(client, repository, session, "bundle", tmp_path)


async def test_a_repository_that_github_calls_too_large_has_no_mirror(there: Rig, client: Client) -> None:
    """Nothing of it is fetched to find that out; the run clones it."""
    small, large = await there.repository(), await there.repository()
    large.size_kib = 21 * 1024 * 1024  # GITWARD_MIRROR_MB is 20,480
    for repository in (small, large):
        _, run, _ = await client.run(repository, "echo x > x.txt")
        assert run["state"] == "succeeded", run
    descriptions = [each.read_text() for each in there.data.glob("mirrors/**/*.json")]
    assert any(f'"repository_id": {small.id},' in each for each in descriptions)
    assert not any(f'"repository_id": {large.id},' in each for each in descriptions)
