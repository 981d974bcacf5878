"""A mirror is made once, brought up to date for each run, and never decides whether a run works."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from gitward.repositories.mirrors import FetchFailed, Mirrors, Source, service
from gitward.repositories.refs import HEADER, Refs
from gitward.sandboxes import Limits
from gitward_standin import Token
from mirror_world import MIB, TOKEN, World

FALLBACK = "The mirror of octo/demo cannot be used now; the run fetches all of it from GitHub."


def packs_of(world: World, kind: str = ".pack") -> list[Path]:
    return sorted((world.data / "mirrors").glob(f"*/objects/pack/*{kind}"))


def nothing_is_left(world: World) -> bool:
    names = [path.name for path in (world.data / "mirrors").iterdir()]
    return list((world.data / "making").iterdir()) == [] and not any("+" in name for name in names)


async def test_the_first_makes_it_and_the_next_brings_it_up_to_date(world: World, mirrors: Mirrors) -> None:
    refs, objects = await world.take(mirrors)
    await world.require_whole(refs, objects)
    assert refs.get("refs/heads/main") == await world.repository.head("main")
    await world.repository.commit("main", {"b.txt": "b"})
    await world.repository.commit("side", {"c.txt": "c"})
    refs, objects = await world.take(mirrors)
    await world.require_whole(refs, objects)
    assert world.told == []
    assert world.figure('gitward_mirror_takes_total{how="miss"}') == 1
    assert world.figure('gitward_mirror_takes_total{how="hit"}') == 1
    assert world.figure("gitward_mirror_bytes") == sum(
        path.stat().st_size for path in (world.data / "mirrors").glob("*/objects/pack/*")
    )
    assert nothing_is_left(world)


async def test_with_nothing_new_nothing_is_fetched_again(world: World, mirrors: Mirrors) -> None:
    await world.take(mirrors)
    fetches, before = world.fetches(), packs_of(world, "")
    _, objects = await world.take(mirrors)
    assert world.fetches() == fetches + 1  # git asks for the refs, which is a POST too, and for nothing else
    assert packs_of(world, "") == before
    for path in before:
        assert (objects / "pack" / path.name).stat().st_ino == path.stat().st_ino


async def test_refs_follow_upstream(world: World, mirrors: Mirrors) -> None:
    """Also where a branch takes the place of a folder of branches, and history was rewritten."""
    upstream = world.repository
    head = await upstream.commit("topic", {"a": "1"})
    await upstream.run_git("-c", "user.name=d", "-c", "user.email=d@e", "tag", "-a", "-m", "v1", "v1", head)
    await upstream.run_git("update-ref", "refs/pull/1/head", head)
    await world.require_whole(*await world.take(mirrors))
    await upstream.run_git("update-ref", "-d", "refs/heads/topic")  # the tag alone reaches its commit from now on
    await upstream.commit("topic/one", {"a": "2"})
    await upstream.run_git("update-ref", "-d", "refs/heads/main")
    await upstream.commit("main", {"new": "history"})
    await world.require_whole(*await world.take(mirrors))
    await upstream.run_git("update-ref", "-d", "refs/tags/v1")
    await upstream.run_git("update-ref", "-d", "refs/heads/topic/one")
    await upstream.run_git("update-ref", "refs/heads/topic", head)
    await world.require_whole(*await world.take(mirrors))
    assert world.told == []


@pytest.mark.parametrize("warm", [False, True])
async def test_odd_names_of_branches_are_taken_as_they_are(world: World, mirrors: Mirrors, warm: bool) -> None:
    if warm:
        await world.take(mirrors)
    head = await world.repository.head("main")
    names = ["-dash", "ünï", "$(id)", "a;b|c&d", "HEAD", "refs/heads/main", "x" * 200, "\udcff\udcfe", "a'b\"c<d>"]
    lines = "".join(f"create refs/{kind}/{name} {head}\n" for name in names for kind in ("heads", "tags"))
    await world.repository.run_git("update-ref", "--stdin", stdin=lines.encode("utf-8", "surrogateescape"))
    refs, _ = await world.take(mirrors)
    for name in names:
        assert refs.get(f"refs/heads/{name}") == head
        assert refs.get(f"refs/tags/{name}") == head
    assert world.told == []


async def test_a_repository_without_commits(world: World, mirrors: Mirrors) -> None:
    """It has a mirror too, which gets its first commit later."""
    world.repository = await world.github.add_repository("octo/empty", files={}, permissions={"dev": "push"})
    refs, _ = await world.take(mirrors)
    assert len(refs) == 0
    await world.repository.commit("main", {"a": "a"})
    await world.require_whole(*await world.take(mirrors))
    assert world.told == []


async def test_eight_at_once_share_one_fetch(world: World, mirrors: Mirrors) -> None:
    """When it is made, and when it is refreshed."""
    for _ in range(2):
        before = world.conversations()
        taken = await asyncio.gather(*(world.take(mirrors) for _ in range(8)))
        assert world.conversations() == before + 1
        for refs, objects in taken:
            await world.require_whole(refs, objects)
        await world.repository.commit("main", {"b.txt": "b"})
    assert world.told == []


async def test_what_began_before_the_question_is_no_answer(world: World, mirrors: Mirrors) -> None:
    """A commit that a caller knows of is in what it takes, although a fetch was under way already."""
    gate = world.github.gate(method="POST", path="*/git-upload-pack")
    first = asyncio.create_task(world.take(mirrors))
    await gate.reached.wait()
    # The advertisement of refs is behind that gate, too; what counts is that the second asked later.
    head = await world.repository.commit("main", {"b.txt": "b"})
    before = world.conversations()
    second = asyncio.create_task(world.take(mirrors))
    await asyncio.sleep(0)
    gate.open()
    await first
    refs, objects = await second
    assert world.conversations() == before + 1
    assert refs.get("refs/heads/main") == head
    await world.require_whole(refs, objects)


async def test_whoever_began_it_may_go(world: World, mirrors: Mirrors) -> None:
    gate = world.github.gate(method="POST", path="*/git-upload-pack")
    first = asyncio.create_task(world.take(mirrors))
    await gate.reached.wait()
    first.cancel()
    await asyncio.wait({first})
    assert first.cancelled()
    before = world.conversations()
    second = asyncio.create_task(world.take(mirrors))
    await asyncio.sleep(0)
    gate.open()
    await world.require_whole(*await second)
    assert world.conversations() == before + 1  # a refresh: the mirror was made for the one that went
    assert world.figure('gitward_mirror_fetch_seconds_count{kind="make"}') == 1


async def test_whoever_waits_too_long_fetches_directly(
    world: World, mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "TELL_SECONDS", 0.05)
    gate = world.github.gate(method="POST", path="*/git-upload-pack")
    first = asyncio.create_task(world.take(mirrors))
    await gate.reached.wait()
    second = asyncio.create_task(world.take(mirrors, wait_seconds=0.2))
    async with asyncio.timeout(30):
        while FALLBACK not in world.told:
            await asyncio.sleep(0.01)
    gate.open()
    await world.require_whole(*await second)
    await world.require_whole(*await first)
    assert any("octo/demo is still being fetched" in sentence for sentence in world.told)
    assert world.figure('gitward_mirror_takes_total{how="direct"}') == 1


def _flip(path: Path, where: int) -> None:
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(where)
        byte = file.read(1)
        file.seek(where)
        file.write(bytes([byte[0] ^ 0xFF]))


@pytest.mark.parametrize(
    "name", ["pack, cut", "pack, its end", "pack, gone", "idx, gone", "a commit", "refs", "refs, gone", "meta"]
)
async def test_a_damaged_one_is_left_and_made_again(world: World, mirrors: Mirrors, name: str) -> None:
    await world.take(mirrors)
    (pack,), (index,) = packs_of(world), packs_of(world, ".idx")
    folder = pack.parents[2]
    match name:
        case "pack, cut":
            pack.chmod(0o644)
            os.truncate(pack, pack.stat().st_size - 40)
        case "pack, its end":
            _flip(pack, pack.stat().st_size - 1)
        case "pack, gone":
            pack.unlink()
        case "idx, gone":
            index.unlink()
        case "a commit":
            _flip(pack, 16)  # git itself looks at it
        case "refs":
            (folder / "packed-refs").write_bytes(b"garbage\n")
        case "refs, gone":
            (folder / "packed-refs").unlink()
        case "meta":
            (folder / "meta.json").write_bytes(b"{")
    await world.require_whole(*await world.take(mirrors))
    assert world.told == [FALLBACK]
    world.told.clear()
    for _ in range(2):
        await world.require_whole(*await world.take(mirrors))
    assert world.told == []
    assert nothing_is_left(world)


async def test_what_git_calls_damaged_is_dropped(world: World, mirrors: Mirrors) -> None:
    """Inside a pack nobody looks when it is linked: the caller's git does."""
    await world.repository.commit("main", {"noise": os.urandom(MIB)})
    await world.take(mirrors)
    (pack,) = packs_of(world)
    _flip(pack, pack.stat().st_size // 2)
    refs, objects = await world.take(mirrors)
    with pytest.raises(AssertionError):
        await world.require_whole(refs, objects)
    await mirrors.distrust(world.source())
    await world.require_whole(*await world.take(mirrors))


async def test_a_repository_that_is_larger_than_the_limit_has_none(world: World) -> None:
    """Whether GitHub says so, or it turns out while it is fetched; then it is not tried again soon."""
    await world.repository.commit("main", {"noise": os.urandom(4 * MIB)})
    async with world.mirrors(limit_bytes=2 * MIB) as mirrors:
        refs, objects = await world.take(mirrors, world.source(size_kib=4096))
        await world.require_whole(refs, objects)
        assert (world.conversations(), world.told) == (1, [])
        await world.require_whole(*await world.take(mirrors))
        assert (world.conversations(), world.told) == (3, [FALLBACK])
        await world.require_whole(*await world.take(mirrors))
        assert (world.conversations(), world.told) == (4, [FALLBACK])
        assert packs_of(world) == []
        assert nothing_is_left(world)


async def test_one_that_grows_beyond_the_limit_goes(world: World) -> None:
    async with world.mirrors(limit_bytes=2 * MIB) as mirrors:
        await world.take(mirrors)
        await world.repository.commit("main", {"noise": os.urandom(4 * MIB)})
        await world.require_whole(*await world.take(mirrors))
        assert (world.told, packs_of(world)) == ([FALLBACK], [])


async def test_without_a_limit_there_are_none(world: World) -> None:
    async with world.mirrors() as mirrors:
        await world.take(mirrors)
    async with world.mirrors(limit_bytes=0) as mirrors:
        assert packs_of(world) == []  # not even those that were there
        await world.require_whole(*await world.take(mirrors))
        assert (world.told, packs_of(world)) == ([], [])


async def test_a_run_s_own_limit_ends_a_direct_fetch(world: World) -> None:
    # So much that the watch, which looks now and then, sees it on the way.
    await world.repository.commit("main", {f"noise-{n}": os.urandom(32 * MIB) for n in range(4)})
    async with world.mirrors(limit_bytes=0, limits=Limits(disk_bytes=2 * MIB)) as mirrors:
        with pytest.raises(FetchFailed) as failure:
            await world.take(mirrors)
    assert failure.value.limit == "disk"
    assert nothing_is_left(world)


async def test_the_least_recently_used_makes_room(world: World) -> None:
    others = []
    for number in range(3):
        name = f"octo/other-{number}"
        others.append(
            await world.github.add_repository(name, files={"n": os.urandom(MIB)}, permissions={"dev": "push"})
        )
    async with world.mirrors(limit_bytes=5 * MIB // 2) as mirrors:
        for other in others:
            await world.take(mirrors, world.source(repository=other))
        there = {each.meta.repository_id for each in mirrors.shelf.all() if each.meta is not None}
    assert there == {others[1].id, others[2].id}


async def test_one_that_was_lost_to_the_token(world: World, mirrors: Mirrors) -> None:
    """What GitHub says is for the caller to tell; and when preflight is told so, the mirror goes."""
    await world.take(mirrors)
    world.github.add_token(TOKEN, Token(login="dev", repositories=()))
    with pytest.raises(FetchFailed) as failure:
        await world.take(mirrors)
    assert "not found" in failure.value.tail
    assert TOKEN not in failure.value.tail
    assert (world.told, len(packs_of(world))) == ([], 1)
    await mirrors.forget("https://github.com", "octo/other")
    await mirrors.forget("https://elsewhere.example", "octo/demo")
    assert len(packs_of(world)) == 1
    await mirrors.forget("https://github.com", "Octo/Demo")
    assert list((world.data / "mirrors").iterdir()) == []
    assert world.figure("gitward_mirror_bytes") == 0


@pytest.mark.parametrize("status", [0, 502, 503])
async def test_githubs_faults_are_githubs(world: World, mirrors: Mirrors, status: int) -> None:
    """The mirror stays, and the caller's retries decide what follows."""
    await world.take(mirrors)
    before = packs_of(world)
    world.github.fault(path="*/info/refs", status=status, times=100)
    with pytest.raises(FetchFailed) as failure:
        await world.take(mirrors)
    world.github.traffic.faults.clear()
    assert (failure.value.limit, world.told, packs_of(world)) == (None, [], before)
    await world.require_whole(*await world.take(mirrors))
    world.github.fault(path="*/info/refs", status=status, times=100)
    with pytest.raises(FetchFailed):
        await mirrors.fetch_directly(world.source(), world.snapshot())
    assert nothing_is_left(world)


async def test_the_credential_is_in_no_file_that_stays(world: World, mirrors: Mirrors) -> None:
    await world.take(mirrors)
    await world.repository.commit("main", {"b": "b"})
    await world.take(mirrors)
    for path in world.data.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"Authorization" not in content
            assert TOKEN.encode() not in content


async def test_a_drop_beside_a_refresh(world: World, mirrors: Mirrors) -> None:
    """As `gitward mirrors drop` does it: the caller takes what it asked for all the same."""
    await world.take(mirrors)
    await world.repository.commit("main", {"b": "b"})
    gate = world.github.gate(method="POST", path="*/git-upload-pack")
    taking = asyncio.create_task(world.take(mirrors))
    await gate.reached.wait()
    source = world.source()
    await asyncio.to_thread(mirrors.shelf.mirror(source.key).drop)
    gate.open()
    await world.require_whole(*await taking)
    assert (world.told, len(packs_of(world))) == ([], 1)


async def _tidied(mirrors: Mirrors) -> None:
    async with asyncio.timeout(60):
        while mirrors.is_tidying:
            await asyncio.sleep(0.01)


async def test_many_packs_become_few(world: World, mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MOST_PACKS", 4)
    monkeypatch.setattr(service, "KEPT_PACKS", 2)
    early: tuple[Refs, Path] | None = None
    for number in range(6):
        await world.repository.commit("main", {f"{number}": f"{number}" * 100})
        taken = await world.take(mirrors)
        early = early or taken
    await _tidied(mirrors)
    assert len(packs_of(world)) <= 4
    await world.require_whole(*await world.take(mirrors))
    assert early is not None
    assert len(list((early[1] / "pack").glob("*.pack"))) == 1  # it has what it had
    assert world.told == []
    assert nothing_is_left(world)


async def test_an_old_one_is_made_anew(world: World, mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what was purged upstream does not stay here."""
    secret = await world.repository.commit("main", {"secret": "hunter2"})
    _, objects = await world.take(mirrors)
    await world.repository.run_git("update-ref", "-d", "refs/heads/main")
    await world.repository.commit("main", {"clean": "now"})
    _, objects = await world.take(mirrors)
    assert await _has(world, objects, secret)
    monkeypatch.setattr(service, "REMADE_SECONDS", 0.0)
    await world.take(mirrors)
    await _tidied(mirrors)
    monkeypatch.undo()
    refs, objects = await world.take(mirrors)
    await world.require_whole(refs, objects)
    assert not await _has(world, objects, secret)
    assert (world.told, nothing_is_left(world)) == ([], True)


async def _has(world: World, objects: Path, oid: str) -> bool:
    process = await asyncio.create_subprocess_exec(
        *("git", "cat-file", "-e", oid),
        cwd=world.repository.path.parent,
        env={"PATH": os.environ["PATH"], "GIT_DIR": str(await _bare(objects))},
        stderr=asyncio.subprocess.DEVNULL,
    )
    return await process.wait() == 0


async def _bare(objects: Path) -> Path:
    bare = objects.with_name(f"{objects.name}-bare")
    for name in ("objects/info", "refs"):
        (bare / name).mkdir(parents=True, exist_ok=True)
    (bare / "HEAD").write_text("ref: refs/heads/main\n")
    (bare / "objects/info/alternates").write_text(f"{objects}\n")
    return bare


async def test_sixty_thousand_refs(world: World, mirrors: Mirrors) -> None:
    """No callback of the loop takes long, and a refresh asks for nothing that is there."""
    head = await world.repository.head("main")
    lines = "".join(f"{head} refs/tags/t{number:06}\n" for number in range(60_000))
    (world.repository.path / "packed-refs").write_bytes(HEADER + lines.encode())
    longest = [await _longest_hold(world, mirrors) for _ in range(3)]
    assert min(longest) < 0.1
    await world.repository.commit("main", {"b": "b"})
    refs, objects = await world.take(mirrors)
    assert len(refs) == 60_001
    assert refs.get("refs/heads/main") == await world.repository.head("main")
    assert len(list((objects / "pack").glob("*.pack"))) == 2
    assert world.told == []


async def _longest_hold(world: World, mirrors: Mirrors) -> float:
    """The most CPU time of this thread between two turns of the loop, in which nobody else is served."""
    taking = asyncio.create_task(world.take(mirrors))
    longest = 0.0
    while not taking.done():
        before = time.thread_time()
        await asyncio.sleep(0.001)
        longest = max(longest, time.thread_time() - before)
    await taking
    return longest


async def test_it_needs_no_more_than_the_source_says(world: World, mirrors: Mirrors) -> None:
    """A new name of the same repository is the same mirror; another repository of the old name is another."""
    await world.take(mirrors)
    other = await world.github.add_repository("octo/second", permissions={"dev": "push"})
    renamed = world.source()
    renamed = Source(
        server_url=renamed.server_url,
        repository_id=other.id,
        full_name=renamed.full_name,
        open_grant=renamed.open_grant,
    )
    await world.take(mirrors, renamed)
    assert len(packs_of(world)) == 2
