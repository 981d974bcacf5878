"""What becomes of a push when the look at it goes wrong: whatever it is, nothing passes and nothing is left."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
import tempfile
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from gitward.broker import Brokers, OpenGrant
from gitward.broker.wire.inspection import answer_with, findings_of
from gitward.grants.grant import Grant
from gitward.grants.inspection import BadPack, Entry, Findings, InspectionFailed
from gitward.repositories.pack_inspection import inspector as inspection
from gitward.repositories.pack_inspection.inspector import PackInspector
from gitward.sandboxes import Limits
from gitward.sandboxes.engine import BubblewrapEngine
from gitward.secrets import Secret
from gitward_standin import StandIn

from .conftest import BRANCH, REPOSITORY, TOKEN, Events, new_grant
from .rig import Inside, Result, commit, peak_memory
from .scripted import Scripted, raising
from .wire import GIT_HOST, wired

URL = f"https://github.com/{REPOSITORY}"
MEGABYTE = 1024 * 1024
TIP = "1" * 40


def pack_of(*objects: tuple[int, bytes]) -> bytes:
    """A pack of whole objects: type (1 commit, 2 tree, 3 blob) and content."""
    data = b"PACK" + (2).to_bytes(4, "big") + len(objects).to_bytes(4, "big")
    for kind, content in objects:
        size = len(content)
        head = [kind << 4 | size & 15]
        size >>= 4
        while size:
            head[-1] |= 0x80
            head.append(size & 0x7F)
            size >>= 7
        data += bytes(head) + zlib.compress(content)
    return data + hashlib.sha1(data, usedforsecurity=False).digest()


async def look(inspector: PackInspector, pack: bytes, tip: str) -> Findings:
    descriptor = inspector.spool()
    try:
        os.write(descriptor, pack)
        return await inspector.look(descriptor, tip)
    finally:
        os.close(descriptor)


def made_by_git(folder: Path, *options: str) -> tuple[str, bytes]:
    """A commit with a workflow, and the pack of it."""

    def git(*argv: str, data: bytes = b"") -> bytes:
        env = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
        return subprocess.run(["git", *argv], cwd=folder, input=data, env=env, check=True, capture_output=True).stdout

    git("init", "-q", *options)
    (folder / ".github/workflows").mkdir(parents=True)
    (folder / ".github/workflows/ci.yml").write_text("on: push\n")
    git("add", "--all")
    git("-c", "user.name=Dev", "-c", "user.email=dev@example.org", "commit", "-q", "-m", "workflow")
    tip = git("rev-parse", "HEAD").decode().strip()
    return tip, git("pack-objects", "--revs", "--stdout", "-q", data=b"HEAD\n")


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
async def test_the_folders_on_the_way_are_told(inspector: PackInspector, tmp_path: Path, object_format: str) -> None:
    tip, pack = made_by_git(tmp_path, f"--object-format={object_format}")
    found = await look(inspector, pack, tip)
    assert found.tree is not None
    folder = found.trees[found.tree][".github"]
    workflows = found.trees[folder.oid]["workflows"]
    (file,) = found.trees[workflows.oid].items()
    assert (file[0], file[1].mode, workflows.mode, len(workflows.oid)) == ("ci.yml", "100644", "40000", len(tip))
    assert (await look(inspector, pack, TIP[:1] * len(tip))) == Findings()  # not in the pack


COMMIT = b"tree %s\nauthor a <a@b> 0 +0000\ncommitter a <a@b> 0 +0000\n\nx\n"


def commit_of(tree: bytes) -> tuple[str, tuple[int, bytes], tuple[int, bytes]]:
    """Its object id, and it and its tree as objects of a pack."""
    oid = hashlib.sha1(b"tree %d\0" % len(tree) + tree, usedforsecurity=False).hexdigest()
    content = COMMIT % oid.encode()
    tip = hashlib.sha1(b"commit %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    return tip, (1, content), (2, tree)


async def test_packs_that_are_none_are_refused(inspector: PackInspector, folder: Path) -> None:
    whole = pack_of((3, b"x"))
    cases: dict[str, tuple[bytes, str, str]] = {
        "nothing": (b"", TIP, "git cannot read this pack"),
        "garbage": (b"\0" * 5000, TIP, "git cannot read this pack"),
        "cut": (whole[:-5], TIP, "git cannot read this pack"),
        "more behind it": (whole + b"x", TIP, "git cannot read this pack"),
        "delta without base": (_delta(), TIP, "a push must contain whole objects; repeat it with `git push --no-thin`"),
    }
    twice, first, second = commit_of(b"40000 .github\0" + b"\1" * 20 + b"40000 .github\0" + b"\2" * 20)
    name = "a folder of the pushed commit has the name '.github' twice"
    cases["name twice"] = (pack_of(first, second), twice, name)
    broken, first, second = commit_of(b"40000 .github\0short")
    cases["tree cut short"] = (pack_of(first, second), broken, "git cannot read this pack")
    large, first, second = commit_of(b"".join(b"100644 %0200d\0" % n + b"\1" * 20 for n in range(40_000)))
    too_large = "the top folders or the messages of the pushed commits are too large to inspect"
    cases["large folder"] = (pack_of(first, second), large, too_large)
    for pack, tip, message in cases.values():
        with pytest.raises(BadPack) as refusal:
            await look(inspector, pack, tip)
        assert str(refusal.value) == message
    assert list(folder.iterdir()) == []


def _delta() -> bytes:
    """A pack with one delta whose base is nowhere."""
    data = b"PACK" + (2).to_bytes(4, "big") + (1).to_bytes(4, "big")
    data += bytes([7 << 4 | 3]) + b"\1" * 20 + zlib.compress(b"\x01\x00\x00")
    return data + hashlib.sha1(data, usedforsecurity=False).digest()


async def test_a_folder_that_unpacks_to_very_much_ends_at_a_limit(folder: Path) -> None:
    tip, first, second = commit_of(b"\0" * (128 * MEGABYTE))
    engine = BubblewrapEngine(slots=1)
    await engine.start()
    try:
        with pytest.raises(BadPack):
            await look(PackInspector(engine, folder, Limits(memory_bytes=64 * MEGABYTE)), pack_of(first, second), tip)
    finally:
        await engine.stop()
    assert list(folder.iterdir()) == []


async def test_a_file_without_a_name_is_given_one_or_copied(tmp_path: Path) -> None:
    """The second where the file system has no such files: the descriptor is that of a removed file."""
    linked = os.open(tmp_path, os.O_TMPFILE | os.O_RDWR)
    removed, name = tempfile.mkstemp(dir=tmp_path)
    os.unlink(name)
    for number, descriptor in enumerate((linked, removed)):
        os.write(descriptor, b"content")
        inspection.name_file(descriptor, tmp_path / str(number))
        assert (tmp_path / str(number)).read_bytes() == b"content"
        same = os.fstat(descriptor).st_ino == (tmp_path / str(number)).stat().st_ino
        assert same is (descriptor == linked)
        os.close(descriptor)


@pytest.fixture
async def grant(github: StandIn) -> Grant:
    main = await github.repository(REPOSITORY).head("main")
    return replace(new_grant(allow_workflows=False), target_branch="main", target_sha=main)


@pytest.fixture
def scripted(folder: Path) -> Scripted:
    return Scripted(folder)


@pytest.fixture
async def opened(broker: Brokers, grant: Grant, events: Events, scripted: Scripted) -> OpenGrant:
    return await broker.open(grant, Secret(TOKEN), events, scripted)


@pytest.fixture
async def checkout(tools: Inside) -> Path:
    await tools.ok("git", "clone", "-q", URL, "demo")
    await tools.ok("git", "checkout", "-q", "-b", BRANCH, cwd=tools.home / "demo")
    await commit(tools, tools.home / "demo", "a.txt", b"a")
    return tools.home / "demo"


async def pushed(tools: Inside, checkout: Path) -> Result:
    return await tools.git("push", "origin", BRANCH, cwd=checkout)


async def test_whatever_goes_wrong_refuses_the_push(
    tools: Inside, checkout: Path, scripted: Scripted, events: Events, github: StandIn
) -> None:
    """The inspector fails; it names a folder that is nowhere; GitHub does not answer, or nonsense."""
    unknown = Findings(tree="2" * 40, trees={})
    scripted.looks = [raising(InspectionFailed("no")), raising(BadPack("bad")), lambda: unknown, *[Findings] * 3]
    nowhere = "a push must contain everything that GitHub does not have yet; its pack lacks a folder"
    unreadable = "GitHub's answer about the repository's folders could not be read"
    faults: list[tuple[int, bytes] | None] = [None, None, None, (502, b"{}"), (200, b"[]"), (200, b'{"tree":[1]}')]
    expected = [
        ("git.push.unseen", "no"),
        ("git.push.pack", "bad"),
        ("git.push.pack", nowhere),
        ("git.push.unseen", "GitHub answered 502 to a request of the broker"),
        ("git.push.unseen", unreadable),
        ("git.push.unseen", unreadable),
    ]
    for number, (fault, (rule, message)) in enumerate(zip(faults, expected, strict=True), start=1):
        if fault is not None:
            github.fault(path=f"*/git/trees/{await _head(tools, checkout)}", status=fault[0], body=fault[1])
        result = await pushed(tools, checkout)
        assert result.status == 1, result
        assert f"! [remote rejected] {BRANCH} -> {BRANCH} ({message})" in result.err
        assert (await events.wait(number))[-1].data["rule"] == rule
    assert await github.repository(REPOSITORY).head(BRANCH) is None
    assert (await pushed(tools, checkout)).status == 0


async def _head(tools: Inside, checkout: Path) -> str:
    return (await tools.ok("git", "rev-parse", "HEAD", cwd=checkout)).strip()


async def test_without_an_inspector_nothing_is_pushed(
    broker: Brokers, github: StandIn, grant: Grant, events: Events
) -> None:
    del broker
    body = _push(TIP, pack_of((3, b"x")))
    async with wired(github.url, github.api_url, grant, TOKEN) as wire:
        answer = await wire.ask("POST /octo/demo.git/git-receive-pack", host=GIT_HOST, body=body)
        reason = b"this worker cannot inspect pushes, and the session may not change workflows"
        assert b"ng refs/heads/gitward/abc123 " + reason in answer.body
        assert wire.rules == ["git.push.unseen"]
    assert not any(request.path.endswith("/git-receive-pack") for request in github.requests)
    assert events.all == []


def _push(tip: str, pack: bytes) -> bytes:
    line = f"{'0' * 40} {tip} refs/heads/{BRANCH}\0report-status".encode()
    return b"%04x" % (len(line) + 4) + line + b"0000" + pack


async def test_a_broker_that_crashes_in_the_middle_of_a_look_is_replaced(
    tools: Inside, checkout: Path, scripted: Scripted, opened: OpenGrant, github: StandIn
) -> None:
    scripted.hold = True
    pushing = asyncio.create_task(pushed(tools, checkout))
    await scripted.looking.wait()
    pid = opened.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(30):
        await opened.replaced(pid)
    await pushing  # whether it failed or git tried again
    assert (await pushed(tools, checkout)).status == 0
    assert await github.repository(REPOSITORY).head(BRANCH) == await _head(tools, checkout)
    assert scripted.cancelled == 1  # the look that nobody waited for


async def test_a_push_that_is_given_up_does_not_hinder_the_next(
    tools: Inside, checkout: Path, scripted: Scripted
) -> None:
    scripted.hold = True
    await _given_up(tools, checkout, scripted)
    assert (await pushed(tools, checkout)).status == 0
    assert scripted.cancelled == 1


async def test_a_look_ends_with_its_run(tools: Inside, checkout: Path, scripted: Scripted, opened: OpenGrant) -> None:
    scripted.hold = True
    await _given_up(tools, checkout, scripted)
    await opened.close()
    assert scripted.cancelled == 1


async def _given_up(tools: Inside, checkout: Path, scripted: Scripted) -> None:
    """git is killed, with its children, while its push is looked at."""
    process = await tools.start("setsid", "git", "push", "origin", BRANCH, cwd=checkout)
    await scripted.looking.wait()
    os.killpg(process.pid, signal.SIGKILL)
    await process.communicate(b"")  # which closes its standard input too


async def test_pushes_of_one_run_are_looked_at_one_after_the_other(
    tools: Inside, checkout: Path, scripted: Scripted, github: StandIn
) -> None:
    results = await asyncio.gather(*(pushed(tools, checkout) for _ in range(4)))
    assert sorted(result.status for result in results)[0] == 0
    assert scripted.cancelled == 0
    assert await github.repository(REPOSITORY).head(BRANCH) == await _head(tools, checkout)


async def test_a_big_push_is_spooled_on_disk(
    tools: Inside, checkout: Path, opened: OpenGrant, folder: Path, github: StandIn
) -> None:
    """The broker's memory does not grow with it."""
    await commit(tools, checkout, "noise", os.urandom(50 * MEGABYTE))
    assert opened.pid is not None
    before = peak_memory(opened.pid)
    result = await pushed(tools, checkout)
    assert result.status == 0, result
    assert await github.repository(REPOSITORY).head(BRANCH) == await _head(tools, checkout)
    assert peak_memory(opened.pid) - before < 20 * MEGABYTE
    assert list(folder.iterdir()) == []


async def test_git_is_told_to_send_whole_objects(
    tools: Inside, checkout: Path, github: StandIn, scripted: Scripted
) -> None:
    """Else it would send a small change of a large file as a difference to what GitHub has."""
    text = "".join(f"{number}\n" for number in range(20_000))
    await github.repository(REPOSITORY).commit("main", {"large.txt": text})
    await tools.ok("git", "pull", "-q", "--rebase", "origin", "main", cwd=checkout)
    await commit(tools, checkout, "large.txt", text.encode() + b"more\n")
    tools.env["GIT_TRACE"] = "1"
    result = await pushed(tools, checkout)
    assert result.status == 0, result
    (made,) = (line for line in result.err.splitlines() if "run_command: git pack-objects" in line)
    assert "--thin" not in made
    assert scripted.looking.is_set()


def test_entries_survive_the_channel() -> None:
    found = Findings(tree=TIP, trees={TIP: {".github": Entry(mode="40000", oid="2" * 40)}, "3" * 40: {}})
    assert findings_of(answer_with(found)) == found
