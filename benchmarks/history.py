"""Large repositories: what a checkout, the first one and the next, and a publish cost beside plain git."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.figure import Figure, median
from benchmarks.world import LOGIN, TOKEN, World
from gitward.settings.environment import clean_environment

FILES, FOLDERS = 5_000, 100
OBJECTS = 850_000
ROUNDS = 5
REFS = 60_000
MIB = 1024 * 1024


def _history(commits: int) -> Iterator[bytes]:
    """A stream for git fast-import: a tree of 5,000 files, then commits that each change one of them."""
    for number in range(FILES):
        yield _file(number, 0)
    for commit in range(commits + 1):
        message = b"change %d" % commit
        yield b"commit refs/heads/main\ncommitter A <a@example.com> %d +0000\n" % (1_600_000_000 + commit)
        yield b"data %d\n%s\n" % (len(message), message)
        if commit == 0:
            for number in range(FILES):
                yield b"M 100644 :%d %s\n" % (number + 1, _name(number))
        else:
            number = commit * 7919 % FILES
            content = _content(number, commit)
            yield b"M 100644 inline %s\ndata %d\n%s\n" % (_name(number), len(content), content)
    yield b"done\n"


def _name(number: int) -> bytes:
    return b"src/part%d/file%d.txt" % (number % FOLDERS, number)


def _content(number: int, version: int) -> bytes:
    lines = [b"line %d of file %d, as it is in every version\n" % (line, number) for line in range(40)]
    return b"".join([*lines[:20], b"changed in version %d\n" % version, *lines[20:]])


def _file(number: int, version: int) -> bytes:
    content = _content(number, version)
    return b"blob\nmark :%d\ndata %d\n%s\n" % (number + 1, len(content), content)


async def _large(world: World, name: str, *, objects: int) -> Path:
    """A repository upstream; its path on disk. A commit brings itself, a file, and three folders."""
    made = await world.github.add_repository(name, permissions={LOGIN: "admin"})

    def fill() -> None:
        argv = ["git", "--git-dir", str(made.path), "fast-import", "--quiet", "--done", "--force"]
        process = subprocess.Popen(argv, stdin=subprocess.PIPE)
        assert process.stdin is not None
        for piece in _history((objects - FILES) // 5):
            process.stdin.write(piece)
        process.stdin.close()
        if process.wait(600) != 0:
            raise RuntimeError("git fast-import failed")

    await asyncio.to_thread(fill)
    # Deltas made anew, as a server has them: the newest version of a file is whole. fast-import's go the other way.
    await asyncio.to_thread(_git, "--git-dir", str(made.path), "repack", "-adfq", "--window=5")
    return made.path


def _git(*arguments: str, **variables: str) -> float:
    """The seconds that a git command took."""
    began = time.monotonic()
    subprocess.run(["git", *arguments], check=True, timeout=900, env={**clean_environment(), **variables})
    return time.monotonic() - began


def _by_hand(world: World, *arguments: str) -> float:
    """Git over the network as a person uses it, with a token in its header."""
    basic = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
    header = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "http.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
    }
    tls = {"SSL_CERT_FILE": str(world.ca), "GIT_SSL_CAINFO": str(world.ca)}
    return _git(*arguments, GIT_TERMINAL_PROMPT="0", HOME=str(world.root), **header, **tls)


async def _run(world: World, http: httpx2.AsyncClient, repo: str, command: str | None) -> dict[str, Any]:
    body = {"repo": repo, **({"command": command} if command else {})}
    answer = await http.post("/sessions", json=body)
    answer.raise_for_status()
    session = answer.json()
    async for _ in world.events(http, session):
        pass
    run: dict[str, Any] = (await http.get(f"/sessions/{session['id']}")).json()["runs"][0]
    if run["state"] != "succeeded":
        raise RuntimeError(f"the session ended {run['state']}: {run['message']}")
    return run


def _step(run: dict[str, Any], name: str) -> float:
    return next(float(step["seconds"]) for step in run["steps"] if step["name"] == name)


async def history(world: World) -> list[Figure]:
    """(a), (b): checkouts of a repository with 850,000 objects and 5,000 files."""
    repo = f"{LOGIN}/history"
    path = await _large(world, repo, objects=OBJECTS)
    url, data = f"https://github.com/{repo}.git", world.root / "service" / "data"
    clones, trees, first, later = [], [], [], []
    async with world.http(follow_redirects=False) as http:
        for number in range(ROUNDS):
            folder = world.root / f"clone-{number}"
            clones.append(await asyncio.to_thread(_by_hand, world, "clone", "--quiet", url, str(folder)))
            shutil.rmtree(folder)
            _drop_mirrors(data)
            first.append(await _fetched(world, http, repo))
            later.append(_step(await _run(world, http, repo, None), "checkout"))
            trees.append(await asyncio.to_thread(_tree_alone, path, world.root / "tree"))
    clone, tree = median(clones), median(trees)
    return [
        Figure(name="full clone by hand", value=f"{clone:.2f} s", meaning=f"{OBJECTS} objects, {FILES} files"),
        Figure(
            name="first checkout / clone",
            value=f"{median(first) / clone:.2f}",
            meaning=f"{median(first):.2f} s; makes the mirror",
        ),
        Figure(
            name="next checkout / clone",
            value=f"1/{clone / median(later):.0f}",
            meaning=f"{median(later):.2f} s, from the mirror",
        ),
        Figure(
            name="next checkout / writing the tree",
            value=f"{median(later) / tree:.2f}",
            meaning=f"git alone writes it in {tree:.2f} s",
        ),
    ]


async def _fetched(world: World, http: httpx2.AsyncClient, repo: str) -> float:
    """Seconds of the two steps in which a first session waits for the repository: they overlap."""
    run = await _run(world, http, repo, None)
    return _step(run, "authenticate") + _step(run, "checkout")


def _drop_mirrors(data: Path) -> None:
    for mirror in (data / "mirrors").iterdir():
        if mirror.is_dir():
            shutil.rmtree(mirror)


def _tree_alone(path: Path, folder: Path) -> float:
    shutil.rmtree(folder, ignore_errors=True)
    _git("clone", "--quiet", "--shared", "--no-checkout", str(path), str(folder))
    return _git("-C", str(folder), "read-tree", "--reset", "-u", "HEAD")


async def disk(world: World) -> list[Figure]:
    """(c): the disk that five sessions of one repository take at the same time, and what stays."""
    repo = f"{LOGIN}/disk"
    path = await _large(world, repo, objects=100_000)
    data = world.root / "service" / "data"
    async with world.http() as http:
        await _run(world, http, repo, None)
        mirror = _usage(data / "mirrors")
        _tree_alone(path, world.root / "tree")
        tree = _usage(world.root / "tree") - _usage(world.root / "tree" / ".git")
        sessions = [
            (await http.post("/sessions", json={"repo": repo, "command": "echo ready; sleep 60"})).json()
            for _ in range(5)
        ]
        await asyncio.gather(*(_until_output(world, http, session) for session in sessions))
        together = _usage(data / "workspaces") + _usage(data / "mirrors")
        linked = _linked(data / "workspaces")
        for session in sessions:
            await http.post(f"/sessions/{session['id']}/cancel")
        for session in sessions:
            async for _ in world.events(http, session):
                pass
        async with asyncio.timeout(60):  # what is set aside is removed behind the run's end
            while list((data / "workspaces").glob("*/removing-*")):  # noqa: ASYNC110 -- another process removes it
                await asyncio.sleep(0.1)
        after = _usage(data / "workspaces") + _usage(data / "mirrors")
    allowed = mirror + 5 * tree
    return [
        Figure(
            name="five sessions / mirror + five trees",
            value=f"{(together - linked) / allowed:.2f}",
            meaning=f"{(together - linked) / MIB:.0f} MiB; mirror {mirror / MIB:.0f}, a tree {tree / MIB:.0f} MiB",
        ),
        Figure(name="after their end / mirror", value=f"{after / mirror:.2f}", meaning=f"{after / MIB:.0f} MiB"),
    ]


async def _until_output(world: World, http: httpx2.AsyncClient, session: dict[str, Any]) -> None:
    async for event in world.events(http, session):
        if event["type"] == "output" and event["data"]["step"] == "execute":
            return


def _usage(folder: Path) -> int:
    """Bytes on disk. What vanishes meanwhile makes `du` complain, and does not count."""
    told = subprocess.run(["du", "-s", "--block-size=1", "--", str(folder)], capture_output=True, check=False)
    return int(told.stdout.split()[0])


def _linked(workspaces: Path) -> int:
    """Bytes of the mirror's files that workspaces have by hard links: `du` counts them once for each argument."""
    seen: dict[int, int] = {}
    for path in workspaces.glob("*/objects/pack/*"):
        status = path.stat()
        if status.st_nlink > 1:
            seen[status.st_ino] = status.st_blocks * 512
    return sum(seen.values())


async def publishing(world: World) -> list[Figure]:
    """(d): step `publish` over a plain `git push` of the same commit, with one ref upstream and with 60,000."""
    figures = []
    for refs in (1, REFS):
        repo = f"{LOGIN}/refs-{refs}"
        made = await world.github.add_repository(repo, permissions={LOGIN: "admin"})
        if refs > 1:
            await asyncio.to_thread(_many_refs, made.path, refs)
        ours, bare = [], []
        async with world.http() as http:
            await _run(world, http, repo, None)
            for number in range(ROUNDS):
                run = await _run(world, http, repo, f"echo {number} >> README.md")
                ours.append(_step(run, "publish"))
                bare.append(await asyncio.to_thread(_push_by_hand, world, repo, number))
        meaning = f"{median(ours):.2f} s over {median(bare):.2f} s"
        figures.append(
            Figure(name=f"publish / push, {refs} refs", value=f"{median(ours) / median(bare):.2f}", meaning=meaning)
        )
    return figures


def _many_refs(path: Path, count: int) -> None:
    head = subprocess.run(["git", "--git-dir", str(path), "rev-parse", "main"], capture_output=True, check=True)
    oid = head.stdout.decode().strip()
    lines = "".join(f"create refs/heads/topic/{number} {oid}\n" for number in range(count))
    argv = ["git", "--git-dir", str(path), "update-ref", "--stdin"]
    subprocess.run(argv, input=lines.encode(), check=True, timeout=600)
    _git("--git-dir", str(path), "pack-refs", "--all")


def _push_by_hand(world: World, repo: str, number: int) -> float:
    folder = world.root / "by-hand"
    shutil.rmtree(folder, ignore_errors=True)
    _by_hand(world, "clone", "--quiet", f"https://github.com/{repo}.git", str(folder))
    (folder / "new.txt").write_text(f"{number} {os.urandom(8).hex()}\n")
    own = ("-C", str(folder), "-c", "user.name=A", "-c", "user.email=a@example.com")
    _git(*own, "add", "--all")
    _git(*own, "commit", "--quiet", "--message=by hand")
    return _by_hand(world, "-C", str(folder), "push", "--quiet", "origin", f"HEAD:refs/heads/by-hand/{number}")
