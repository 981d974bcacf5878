"""Attacks from inside a sandbox of the real service, on what lies between a run and everybody else."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

import httpx2
import pytest

from gitward.sandboxes.bwrap_process import NICENESS
from gitward.sandboxes.processes_inside import descendants
from gitward_standin import Repository
from rig import Client, Json, Rig, output, warm_rig


async def started(client: Client, repository: Repository, command: str) -> Json:
    """A session whose command has written a line that says so."""
    session = await client.session(repository, command=command)
    async for event in client.stream(session):
        if event["type"] == "output" and "started" in event["data"]["text"]:
            return session
    raise AssertionError("the run has ended")


async def goes_on(client: Client, repository: Repository) -> None:
    """Whatever another session did, a new one of the same repository comes to its end."""
    _, run, events = await client.run(repository, "echo fine > fine.txt")
    assert run["state"] == "succeeded", (run, output(events, "checkout"), output(events, "publish"))


async def test_what_a_command_pushed_and_took_back_is_told(there: Rig, client: Client) -> None:
    """It ends with a clean checkout, and what it pushed is upstream all the same."""
    repository = await there.repository()
    command = """
        echo x > x; git add x; git commit -qm x; git push -q origin HEAD && git reset -q --hard HEAD~1
    """
    session, run, _ = await client.run(repository, command)
    head = await repository.head(session["branch"])
    assert head is not None
    assert (run["state"], run["reason"], run["head_sha"]) == ("failed", "work_not_on_branch", head), run
    assert head[:12] in run["message"]


async def test_a_tree_without_end_ends_its_own_run_only() -> None:
    """Twenty commands of git make ten thousand million files; whoever reads them is in that run's sandbox."""
    command = """
        tree=$(git hash-object -w --stdin < /dev/null)
        tree=$(for n in 0 1 2 3 4 5 6 7 8 9; do printf '100644 blob %s\\t%s\\n' $tree $n; done | git mktree)
        for level in 1 2 3 4 5 6 7 8 9; do
          tree=$(for n in 0 1 2 3 4 5 6 7 8 9; do printf '040000 tree %s\\t%s\\n' $tree $n; done | git mktree)
        done
        git update-ref HEAD $(git commit-tree -p HEAD -m bomb $tree)
    """
    async with warm_rig(GITWARD_MEMORY="300") as there, there.client() as client:
        repository = await there.repository()
        session = await client.session(repository, command=command)
        await goes_on(client, await there.repository())
        run, _ = await client.finished(session)
        assert run["state"] == "failed", run
        assert await repository.head(session["branch"]) is None
        await goes_on(client, repository)


HOLDS = {
    "a pipe in place of HEAD": "rm .git/HEAD; mkfifo .git/HEAD",
    "a pipe in place of the index": "rm .git/index; mkfifo .git/index",
    "pipes as refs": "mkdir -p .git/refs/heads/x; mkfifo .git/refs/heads/x/y .git/packed-refs",
    "HEAD leads out of the folder": "printf 'ref: refs/heads/../../../../../../etc/hostname' > .git/HEAD",
    "HEAD is a link to the host's files": "ln -sf /../../../etc/shadow .git/HEAD",
    "packed refs without end": "truncate -s 60G .git/packed-refs || truncate -s 900M .git/packed-refs",
    "an index without end": "truncate -s 900M .git/index",
    "a git folder elsewhere": "rm -rf .git; echo 'gitdir: /gitward/objects/../../proc/self/cwd' > .git",
    "a socket in place of the git folder": (
        "rm -rf .git; python3 -c \"import socket; socket.socket(socket.AF_UNIX).bind('.git')\""
    ),
    "work trees everywhere": (
        "head=$(git rev-parse HEAD); mkdir -p .git/worktrees/{1..2000}; for n in {1..2000}; do "
        "echo /etc/.git > .git/worktrees/$n/gitdir; echo $head > .git/worktrees/$n/HEAD; done"
    ),
    "a checkout that is a link": "cd ..; mv repo old; ln -s / repo",
}


@pytest.mark.parametrize("poison", HOLDS.values(), ids=HOLDS.keys())
async def test_a_git_folder_that_is_none_holds_nobody(there: Rig, client: Client, poison: str) -> None:
    """Its run ends, with a word about it; nothing of the host is in what is kept; the session's next run is fine."""
    repository = await there.repository()
    session, run, events = await client.run(repository, f"echo work > work.txt; {poison}")
    patch = await client.http.get(f"/sessions/{session['id']}/patch")
    told = f"{run} {events} {patch.text}"
    assert "root:" not in told
    assert run["reason"] not in {"internal", "timed_out", "worker_lost"}, run
    follow = await client.post(f"/sessions/{session['id']}/runs", {"command": "echo again > again.txt"})
    run, _ = await client.finished(session, follow["id"])
    assert run["state"] == "succeeded", run


async def test_the_objects_that_a_run_borrows_stay_as_they_are(there: Rig, client: Client) -> None:
    """They are the mirror's own files, linked: no way to change, hold or take one."""
    repository = await there.repository(files={"README.md": "borrowed\n" * 1000})
    await goes_on(client, repository)  # there is a mirror

    def files() -> dict[str, tuple[bytes, int, int]]:
        found = [each for each in there.data.glob("mirrors/**/*") if each.is_file()]
        return {str(each): (each.read_bytes(), each.stat().st_mode, each.stat().st_uid) for each in found}

    before = files()
    assert any(name.endswith(".pack") for name in before)
    attack = r"""
import ctypes, fcntl, glob, os
libc = ctypes.CDLL(None, use_errno=True)
done = []
def tries(name, call):
    try:
        call()
    except OSError:
        return
    done.append(name)
def written(path, flags):
    os.write(os.open(path, flags), b"evil")
for path in [each for each in glob.glob("/gitward/**/*", recursive=True) if os.path.isfile(each)]:
    reading = os.open(path, os.O_RDONLY)
    again = f"/proc/self/fd/{reading}"
    tries("write", lambda: written(path, os.O_WRONLY))
    tries("write by the descriptor", lambda: written(again, os.O_RDWR))
    tries("truncate", lambda: os.truncate(again, 1))
    tries("chmod", lambda: os.chmod(path, 0o666))
    tries("chown", lambda: os.chown(path, os.getuid(), -1))
    tries("utime", lambda: os.utime(reading))
    tries("unlink", lambda: os.unlink(path))
    tries("rename", lambda: os.rename(path, "/workspace/taken"))
    tries("link", lambda: os.link(path, "/workspace/linked"))
    tries("link by the descriptor", lambda: os.link(again, "/workspace/linked", follow_symlinks=True))
    tries("xattr", lambda: os.setxattr(path, "user.x", b"x"))
    tries("flags", lambda: fcntl.ioctl(reading, 0x40086602, b"\x10\0\0\0\0\0\0\0"))
    tries("lease", lambda: fcntl.fcntl(reading, fcntl.F_SETLEASE, fcntl.F_RDLCK))
    if libc.fallocate(reading, 3, ctypes.c_long(0), ctypes.c_long(4096)) == 0: done.append("hole")
print("done:", sorted(set(done)), "of", len(glob.glob("/gitward/**/*", recursive=True)) > 2)
"""
    _, run, events = await client.run(repository, f"python3 - <<'END'\n{attack}\nEND\necho x > x")
    assert output(events) == "done: [] of True\n", output(events)
    assert run["state"] == "succeeded", run
    after = files()
    assert {name: after.get(name) for name in before if name.endswith((".pack", ".idx"))} == {
        name: value for name, value in before.items() if name.endswith((".pack", ".idx"))
    }
    await goes_on(client, repository)


async def test_lfs_objects_that_are_lies_or_links_reach_nobody(there: Rig, client: Client) -> None:
    """A command puts what it likes where git-lfs keeps content. Only what has the content's own name is uploaded."""
    repository = await there.repository(files={".gitattributes": "*.bin filter=lfs -text\n", "README.md": "x\n"})
    good = b"good" * 100
    names = [hashlib.sha256(each).hexdigest() for each in (good, b"link", b"pipe")]
    command = """
        put() { mkdir -p .git/lfs/objects/${1:0:2}/${1:2:2}; echo .git/lfs/objects/${1:0:2}/${1:2:2}/$1; }
        point() { printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%s\\nsize %s\\n' $1 $2 > $3; }
        head -c 400 /dev/zero > $(put LIE); point LIE 400 lie.bin
        ln -s /etc/passwd $(put LINK); point LINK 4 link.bin
        mkfifo $(put PIPE); point PIPE 4 pipe.bin
        git add . ; git commit -qm lies
    """
    for name, oid in zip(("LIE", "LINK", "PIPE"), names, strict=True):
        command = command.replace(f"put {name})", f"put {oid})").replace(f"point {name} ", f"point {oid} ")
    _, run, _ = await client.run(repository, command)
    stored = [each.name for each in (repository.path / "lfs").rglob("*") if each.is_file()]
    assert not set(names) & set(stored), run
    cached = [
        Path(where, name) for where, _, found in os.walk(there.data / "mirrors") for name in found if name in names
    ]
    assert not [each for each in cached if hashlib.sha256(each.read_bytes()).hexdigest() != each.name]
    assert run["reason"] not in {"internal", "timed_out"}, run
    await goes_on(client, repository)


async def test_a_credential_is_good_in_its_own_run_only(there: Rig, client: Client) -> None:
    """Taken along in the branch, it opens nothing: not in another session, nor in the next run of its own."""
    repository, other = await there.repository(), await there.repository()
    await other.commit("main", {"secret.txt": "other"})
    session, run, _ = await client.run(repository, "gh auth token > taken.txt")
    assert run["state"] == "succeeded", run
    taken = (await repository.run_git("cat-file", "blob", f"{session['branch']}:taken.txt")).decode().strip()
    assert len(taken) > 20
    ask = (
        f"curl -s -o /dev/null -w '%{{http_code}}\\n' -H 'Authorization: token {taken}' https://api.github.com/user; "
        f"curl -s -o /dev/null -w '%{{http_code}}\\n' -u x:{taken} "
        f"'https://github.com/{repository.full_name}/info/refs?service=git-receive-pack'"
    )
    _, _, events = await client.run(other, ask)
    assert output(events).split() == ["401", "401"]
    follow = await client.post(f"/sessions/{session['id']}/runs", {"command": ask})
    _, events = await client.finished(session, follow["id"])
    assert output(events).split() == ["401", "401"]


async def test_nobody_is_left_to_use_the_grant_that_publishes(there: Rig, client: Client) -> None:
    """Processes in sessions of their own, which ignore signals, wait for the moment of the push."""
    repository = await there.repository()
    pushes = (
        "git commit -q --allow-empty -m late; trap '' TERM HUP INT; "
        "while :; do git push -q --force origin HEAD:refs/heads/$0 HEAD:refs/heads/main; done"
    )
    command = f"""
        branch=$(git branch --show-current); cp -r ../repo ../late
        for n in 1 2 3; do (cd ../late; setsid -f bash -c "sleep 0.$n; {pushes}" $branch > /dev/null 2>&1); done
        echo work > work.txt
    """
    main = await repository.head("main")
    session, run, events = await client.run(repository, command)
    assert run["state"] == "succeeded", (run, output(events, "publish"))
    assert await repository.head(session["branch"]) == run["head_sha"]
    assert await repository.head("main") == main
    last = (await repository.run_git("log", "-1", "--format=%s", session["branch"])).decode()
    assert last.strip() != "late"
    assert not [pid for pid in descendants(os.getpid()) if b"--allow-empty" in _arguments(pid)]


def _arguments(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


async def test_many_sessions_of_processes_take_no_more_time_than_one(there: Rig, client: Client) -> None:
    """Where the kernel shares time between sessions of processes, each new one would begin as the service's equal."""
    repository = await there.repository()
    command = "for n in $(seq 20); do setsid -f sleep 60; done; echo started; sleep 60"
    session = await started(client, repository, command)
    try:
        assert there.process is not None
        inside = [pid for pid in descendants(there.process.pid) if b"sleep\x0060" in _arguments(pid)]
        assert len(inside) >= 20
        async with asyncio.timeout(60):
            while {Path(f"/proc/{pid}/autogroup").read_text().split()[-1] for pid in inside} != {str(NICENESS)}:
                await asyncio.sleep(0.1)
    finally:
        await client.http.post(f"/sessions/{session['id']}/cancel")
        await client.finished(session)


async def test_other_peoples_pull_requests_are_out_of_reach_in_every_spelling(there: Rig, client: Client) -> None:
    """Of a fork's branch with the session's name, by a number that another parser reads as the own one, by aliases."""
    repository = await there.repository()
    await repository.commit("feature", {"f.txt": "f\n"}, start=await repository.head("main"))
    name = repository.full_name
    make = f"""
        echo x > x; git add x; git commit -qm x; git push -q origin HEAD
        api() {{ curl -s -o /dev/null -w '%{{http_code}} ' -H "Authorization: token $(gh auth token)" "$@"; }}
        r=https://api.github.com/repos/{name}
        own=$(gh api -X POST repos/{name}/pulls -f title=own -f head=$(git branch --show-current) -f base=main \\
          -F draft=true --jq .number)
        echo "own $own"
        n=$other_number
        for other in $n 0$n $n/ "$n%20" "$n?x=$own" "$own%2f..%2f$n" "%31" "+$n" "$n;$own" "$own/../$n" "$own,$n"; do
          api --path-as-is -X POST -d '{{"body":"/deploy"}}' "$r/issues/$other/comments"
          api --path-as-is -X PATCH -d '{{"title":"taken"}}' "$r/pulls/$other"
        done
        api -X GET -H 'X-HTTP-Method-Override: PATCH' -d '{{"title":"taken"}}' "$r/pulls/$other_number"
        api -X POST -d '{{"number":'$own',"body":"/deploy"}}' "$r/issues/$other_number/comments"
        gh pr comment $other_number --body /deploy 2>/dev/null || echo refused
        gh pr comment $own --body hello >/dev/null && echo written
    """
    async with httpx2.AsyncClient(headers={"Authorization": f"token {there.token}"}) as person:
        asked = {"title": "A person's", "head": "feature", "base": "main"}
        answer = await person.post(f"{there.github.api_url}/repos/{name}/pulls", json=asked)
        number = answer.json()["number"]
    there.github.requests.clear()
    _, first, events = await client.run(repository, f"other_number={number}; {make}")
    assert "written" in output(events), output(events)
    own = int(output(events).split("own ")[1].split()[0])
    touched = [
        (each.method, each.path)
        for each in there.github.requests
        if each.method in {"POST", "PATCH"} and f"/{name}/" in each.path and "/git-" not in each.path
    ]
    assert {path.rpartition("/pulls")[2] for _, path in touched if "/pulls" in path} <= {"", f"/{own}"}, touched
    assert not [path for _, path in touched if "/comments" in path and f"/{own}/" not in path], touched
    assert first["state"] == "succeeded", first
    pull = repository.pull(number)
    assert pull is not None
    assert (pull.title, pull.comments) == ("A person's", [])


async def test_a_malformed_commit_of_one_session_stops_no_other(there: Rig, client: Client) -> None:
    """It lies on a branch of the repository, and so in the mirror that all its sessions share."""
    repository = await there.repository()
    command = """
        blob=$(git hash-object -w --stdin < /dev/null)
        entry() { printf "$1 $2\\0"; printf $3 | xxd -r -p; }
        tree=$( (entry 100644 .git $blob; entry 100644 .GIT~1 $blob; entry 0100644 zero $blob) |
          git hash-object -t tree -w --stdin --literally)
        commit=$(printf 'tree %s\\nparent %s\\nauthor x <x> 99999999999999999999 +9999\\ncommitter x\\n\\nbad\\n' \\
          $tree $(git rev-parse HEAD) | git hash-object -t commit -w --stdin --literally)
        git push -q origin $commit:refs/heads/$(git branch --show-current); echo pushed $?
    """
    command = command.replace("xxd -r -p", "python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(input()))'")
    session, run, events = await client.run(repository, command)
    assert "pushed" in output(events)
    assert run["reason"] not in {"internal", "timed_out"}, run
    await goes_on(client, repository)
    assert (await client.http.get(f"/sessions/{session['id']}/patch")).status_code in {200, 404}
