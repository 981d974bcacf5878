"""Folders of the host that a sandbox sees: whatever it tries, they stay as they are, and others' stay hidden."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gitward.sandboxes import Sandbox, Shown, User
from gitward.sandboxes.engine import BubblewrapEngine
from gitward.sandboxes.fake import FakeEndpoint
from gitward.sandboxes.walls import Wall

from .rig import SMALL, Inside, Rig

CONTENT = "the objects of a repository\n"
INSIDE = "/gitward/objects"
ATTACKS = {
    "chmod": f"chmod 777 {INSIDE}/pack {INSIDE}",
    "truncate": f": > {INSIDE}/pack",
    "overwrite": f"chmod u+w {INSIDE}/pack; echo x >> {INSIDE}/pack",
    "rename": f"mv {INSIDE}/pack {INSIDE}/other",
    "remove": f"rm -rf {INSIDE}/pack",
    "add": f"echo x > {INSIDE}/new",
    "chown": f"chown 1000:1000 {INSIDE}/pack && echo x > {INSIDE}/pack",
    "link and write": f"ln {INSIDE}/pack /workspace/link && chmod u+w /workspace/link && echo x > /workspace/link",
    "remount": f"mount -o remount,bind,rw {INSIDE} && echo x > {INSIDE}/pack",
}
NO_WALL: tuple[Wall, ...] = ()
ORDINARY_USER = (Wall.UNPRIVILEGED_USER,)  # sandbox and worker have one user id, as where the worker is no root


@asynccontextmanager
async def showing(rig: Rig, engine: BubblewrapEngine, objects: Path) -> AsyncIterator[Inside]:
    endpoint, workspace = FakeEndpoint(), rig.folder / "run"
    shown = [Shown(host=objects, inside=INSIDE)]
    sandbox = await engine.open(name="run", workspace=workspace, endpoint=endpoint, limits=SMALL, shown=shown)
    try:
        yield Inside(sandbox, workspace, endpoint)
    finally:
        await sandbox.close()
        await endpoint.close()


def store(rig: Rig) -> tuple[Path, Path]:
    """A folder as the worker makes it, and a file elsewhere that shares its content with one in it."""
    original = rig.folder / "mirror-pack"
    original.write_text(CONTENT)
    original.chmod(0o444)
    objects = rig.folder / "objects"
    objects.mkdir(mode=0o700)
    os.link(original, objects / "pack")
    return original, objects


@pytest.mark.parametrize("without", [NO_WALL, ORDINARY_USER], ids=["root's worker", "an ordinary user's worker"])
@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
async def test_what_is_shown_cannot_be_changed(rig: Rig, attack: str, without: tuple[Wall, ...]) -> None:
    original, objects = store(rig)
    before = original.stat()
    async with rig.engine(*without) as engine, showing(rig, engine, objects) as inside:
        read = await inside.run("cat", f"{INSIDE}/pack")
        assert read.stdout == CONTENT, read.stderr
        tried = await inside.bash(attack)
        assert tried.completed.exit_code != 0, tried.stdout
    after = original.stat()
    assert original.read_text() == CONTENT
    assert (after.st_mode, after.st_uid, after.st_gid, after.st_mtime_ns) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
        before.st_mtime_ns,
    )
    assert os.listdir(objects) == ["pack"]


async def test_without_that_wall_it_can_be_changed(rig: Rig) -> None:
    original, objects = store(rig)
    async with (
        rig.engine(Wall.SYSTEM_READ_ONLY, Wall.UNPRIVILEGED_USER) as engine,
        showing(rig, engine, objects) as inside,
    ):
        await inside.bash(ATTACKS["overwrite"])
    assert original.read_text() != CONTENT


async def test_nobody_else_may_pass_into_what_is_shown(rig: Rig) -> None:
    _, objects = store(rig)
    async with rig.engine() as engine, showing(rig, engine, objects):
        status = objects.stat()
        assert status.st_mode & 0o007 == 0
        assert os.geteuid() != 0 or status.st_uid == 0


async def test_the_next_sandbox_has_the_same_user_and_reads_what_the_first_wrote(rig: Rig) -> None:
    async with rig.engine() as engine, rig.opened(engine) as first:
        await first.bash("umask 077; echo mine > /workspace/file")
        user = first.sandbox.share_user()
        await first.sandbox.close()
        try:
            async with rig.opened(engine, name="other"):  # a third one, which might have taken the free user id
                second = await second_of(rig, engine, user)
                endpoint = FakeEndpoint()
                inside = Inside(second, rig.folder / "result", endpoint)
                read = await inside.bash("cat /workspace/file; id -u; touch /result/own; echo x > /workspace/file")
                assert read.stdout.splitlines() == ["mine", "1000"]
                assert read.completed.exit_code != 0
                assert "Read-only file system" in read.stderr
                assert (rig.folder / "result/work/own").exists()
                await second.close()
                await endpoint.close()
        finally:
            user.release()
            user.release()


async def second_of(rig: Rig, engine: BubblewrapEngine, user: User) -> Sandbox:
    return await engine.open(
        name="result",
        workspace=rig.folder / "result",
        endpoint=FakeEndpoint(),
        limits=SMALL,
        shown=[Shown(host=rig.folder / "run" / "work", inside="/workspace")],
        user=user,
        work_dir="/result",
    )


@pytest.mark.parametrize("without", [NO_WALL, ORDINARY_USER], ids=["root's worker", "an ordinary user's worker"])
async def test_a_shared_folder_is_seen_by_several_and_stays_as_it_is(rig: Rig, without: tuple[Wall, ...]) -> None:
    """A program that many runs use: the second sandbox takes it from no first one."""
    program = rig.folder / "program"
    program.mkdir(mode=0o755)
    (program / "pack").write_text(CONTENT)
    (program / "pack").chmod(0o644)
    before = program.stat()
    async with (
        rig.engine(*without) as engine,
        sharing(rig, engine, program, "one") as one,
        sharing(rig, engine, program, "two") as two,
    ):
        for inside in (one, two, one):
            read = await inside.run("cat", f"{INSIDE}/pack")
            assert read.stdout == CONTENT, read.stderr
        assert (await two.bash(f"echo x > {INSIDE}/new")).completed.exit_code != 0
    after = program.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


@asynccontextmanager
async def sharing(rig: Rig, engine: BubblewrapEngine, program: Path, name: str) -> AsyncIterator[Inside]:
    endpoint, workspace = FakeEndpoint(), rig.folder / name
    shown = [Shown(host=program, inside=INSIDE, is_shared=True)]
    sandbox = await engine.open(name=name, workspace=workspace, endpoint=endpoint, limits=SMALL, shown=shown)
    try:
        yield Inside(sandbox, workspace, endpoint)
    finally:
        await sandbox.close()
        await endpoint.close()
