"""Work that did not come to its end is recovered by plain git, in any clone: content, history and authors."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from gitward_standin import Repository
from processes import until_output
from rig import Client, Json, Rig, output, warm_rig

# Everything that a mailbox could lose, in commits of the command's own, in a merge, and uncommitted.
WORK = r"""
git config user.name "Zoë O'Hara"; git config user.email zoe@example.com
printf 'one\r\ntwo\r\n' > crlf.txt; head -c 3000 /dev/urandom > binary.bin
mkdir -p 'a folder'; echo space > 'a folder/with space'; echo ünï > 'ünïcode – name'
echo line > "$(printf 'new\nline')"
git add -A; git commit -qm 'Füge Dateien hinzu'
git mv README.md RENAMED.md; : > empty; printf '#!/bin/sh\n' > run.sh; chmod 755 run.sh; ln -s crlf.txt link
git add -A; git commit -qm second --author='Other <other@example.com>' --date='2020-02-02T02:02:02+0200'
git checkout -qb side HEAD~1; echo side > side.txt; git add -A; git commit -qm side
git checkout -q -; git merge -q --no-ff -m merged side
printf 'one\r\ntwo\r\nthree\r\n' > crlf.txt; rm binary.bin; printf 'no end' > uncommitted; chmod 644 run.sh
git add -A; echo "tree $(git write-tree)"; git reset -q
"""


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> str:
    identity = ("-c", "user.name=Recoverer", "-c", "user.email=recoverer@example.com")
    argv = ["git", *identity, "-C", str(folder), *arguments]
    ended = subprocess.run(argv, input=stdin, capture_output=True, check=False, timeout=60)
    assert ended.returncode == 0, ended.stderr.decode()
    return ended.stdout.decode().strip()


async def content(client: Client, session: Json, kind: str, **query: str) -> bytes:
    answer = await client.http.get(f"/sessions/{session['id']}/{kind}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.content


async def fetched(client: Client, repository: Repository, session: Json, folder: Path, **query: str) -> Path:
    """A clone of the repository with the session's bundle fetched into it, checked out."""
    clone, bundle = folder / "fetched", folder / "work.bundle"
    await asyncio.to_thread(git, folder, "clone", "--quiet", str(repository.path), str(clone))
    bundle.write_bytes(await content(client, session, "bundle", **query))
    await asyncio.to_thread(git, clone, "fetch", "--quiet", str(bundle))
    await asyncio.to_thread(git, clone, "checkout", "--quiet", "FETCH_HEAD")
    return clone


def kept(events: list[Json]) -> Json:
    [event] = [event for event in events if event["type"] == "work.kept"]
    data: Json = event["data"]
    return data


async def test_everything_comes_back_by_git_am_and_by_git_fetch(there: Rig, client: Client, tmp_path: Path) -> None:
    repository = await there.repository()
    session, run, events = await client.run(repository, f"{WORK}\nexit 3")
    assert (run["reason"], run["exit_code"]) == ("task_failed", 3), run
    assert set(kept(events)["artifacts"]) == {"bundle", "patch", "diff"}
    tree = output(events).split("tree ")[1].strip()
    clone = await fetched(client, repository, session, tmp_path)
    assert git(clone, "rev-parse", "HEAD^{tree}") == tree
    assert git(clone, "rev-parse", "HEAD") == kept(events)["head_sha"]
    assert "merged" in git(clone, "log", "--merges", "--format=%s", "origin/HEAD..")
    applied = tmp_path / "applied"
    git(tmp_path, "clone", "--quiet", str(repository.path), str(applied))
    git(applied, "am", "--quiet", stdin=await content(client, session, "patch"))
    assert git(applied, "rev-parse", "HEAD^{tree}") == tree
    told = ("log", "--no-merges", "--date=iso", "--format=%an|%ae|%ad|%s", "origin/HEAD..")
    assert sorted(git(applied, *told).splitlines()) == sorted(git(clone, *told).splitlines())
    assert "Other|other@example.com|2020-02-02 02:02:02 +0200|second" in git(applied, *told)


async def test_a_push_that_fails_leaves_the_work_in_a_bundle(there: Rig, client: Client, tmp_path: Path) -> None:
    repository = await there.repository()
    there.github.fault(method="POST", path=f"*/{repository.full_name}.git/git-receive-pack", status=403, times=9)
    session, run, events = await client.run(repository, "echo precious > work.txt")
    assert (run["state"], run["reason"], run["changed"]) == ("failed", "push_rejected", True), run
    assert kept(events)["head_sha"] == run["head_sha"]
    clone = await fetched(client, repository, session, tmp_path)
    assert git(clone, "rev-parse", "HEAD") == run["head_sha"]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param("touch .git/index.lock .git/HEAD.lock .git/refs/heads/gitward/x.lock", id="locks"),
        pytest.param("echo nonsense > .git/index", id="index"),
        pytest.param("rm .git/index", id="no index"),
        pytest.param("echo secret > hidden; chmod 000 hidden", id="unreadable file"),
        pytest.param("git config diff.noprefix true; git config diff.context 0; git config format.attach x", id="odd"),
    ],
)
async def test_a_damaged_checkout_gives_its_work_back(there: Rig, client: Client, tmp_path: Path, damage: str) -> None:
    repository = await there.repository()
    session, run, _ = await client.run(
        repository, f"echo precious > work.txt; echo more >> README.md; {damage}; exit 3"
    )
    assert run["reason"] == "task_failed"
    clone = await fetched(client, repository, session, tmp_path)
    assert (clone / "work.txt").read_text() == "precious\n"
    assert (clone / "README.md").read_text().endswith("more\n")
    git(clone, "checkout", "--quiet", "origin/HEAD")
    git(clone, "am", "--quiet", stdin=await content(client, session, "patch"))
    assert (clone / "work.txt").read_text() == "precious\n"


async def test_what_is_too_long_is_told_and_what_fits_is_kept(there: Rig, client: Client, tmp_path: Path) -> None:
    """Text that compresses well: the diff and the patch are too long, the bundle is not."""
    repository = await there.repository()
    session, run, events = await client.run(repository, "seq 1 1500000 > numbers.txt; exit 3")
    assert run["reason"] == "task_failed"
    assert set(kept(events)["artifacts"]) == {"bundle"}
    told = [event["data"]["message"] for event in events if event["type"] == "notice"]
    assert told == [f"The {kind} is longer than 10 MiB and is not kept." for kind in ("patch", "diff")]
    clone = await fetched(client, repository, session, tmp_path)
    assert (clone / "numbers.txt").read_text().endswith("\n1500000\n")


async def test_a_lost_attempt_leaves_its_work_beside_that_of_the_next(tmp_path: Path) -> None:
    """kill -9 in the middle of the command; the second attempt does something else, and both are there."""
    async with warm_rig() as service:
        command = """
            test -e /workspace/cache/seen && { echo second > second.txt; exit 3; }
            touch /workspace/cache/seen; echo first > first.txt; git add -A; git commit -qm 'own commit'
            echo more > more.txt; echo started; sleep 300
        """
        async with service.client() as client:
            repository = await service.repository()
            session = await client.session(repository, command=command)
            await until_output(client, session)
        await service.stop(signal.SIGKILL)
        await service.start()
        async with service.client() as client:
            run, events = await client.finished(session)
            assert (run["state"], run["attempt"]) == ("failed", 2), run
            lost, last = [event["data"] for event in events if event["type"] == "work.kept"]
            assert (lost["attempt"], last["attempt"]) == (1, 2)
            assert lost["artifacts"]["bundle"] == f"/sessions/{session['id']}/bundle?run_id={run['id']}&attempt=1"
            (tmp_path / "1").mkdir()
            clone = await fetched(client, repository, session, tmp_path / "1", run_id=run["id"], attempt="1")
            assert (clone / "first.txt").exists()
            assert (clone / "more.txt").exists()
            assert "own commit" in git(clone, "log", "--format=%s")
            (tmp_path / "2").mkdir()
            clone = await fetched(client, repository, session, tmp_path / "2")
            assert (clone / "second.txt").exists()
            assert not (clone / "first.txt").exists()


async def test_a_run_that_is_given_up_leaves_its_work_for_the_next_one_to_keep(tmp_path: Path) -> None:
    """It had cost too many workers; its retry finds what the last of them had done."""
    async with warm_rig() as service:
        command = """
            test -e /workspace/cache/seen && exit 0
            touch /workspace/cache/seen; echo first > first.txt; echo started; sleep 300
        """
        async with service.client() as client:
            repository = await service.repository()
            session = await client.session(repository, command=command)
            await until_output(client, session)
        await service.stop(signal.SIGKILL)
        with closing(sqlite3.connect(service.data / "gitward.db", timeout=30)) as database, database:
            database.execute("UPDATE runs SET losses = 99")
        await service.start()
        async with service.client() as client:
            run, _ = await client.finished(session)
            assert (run["state"], run["reason"]) == ("failed", "worker_lost"), run
            assert {step["state"] for step in run["steps"]} == {"succeeded", "failed"}
            retry = await client.post(f"/sessions/{session['id']}/runs/{run['id']}/retry")
            again, events = await client.finished(session, retry["id"])
            assert (again["state"], again["changed"]) == ("succeeded", False)
            assert (kept(events)["run_id"], kept(events)["attempt"]) == (run["id"], 1)
            clone = await fetched(client, repository, session, tmp_path, run_id=run["id"])
            assert (clone / "first.txt").exists()
