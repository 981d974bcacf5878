"""Memory cgroups: only real ones count."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from gitward.grants import cgroups
from gitward.sandboxes.probe import limits


def fake(folder: Path) -> cgroups.Controller:
    return cgroups.Controller(
        folder=folder, version=2, limit_file="memory.max", swap_file="memory.swap.max", events_file="memory.events"
    )


def test_a_folder_that_only_looks_like_a_cgroup_is_not_one(tmp_path: Path) -> None:
    assert cgroups.filesystem_type(tmp_path) not in (0x27E0EB, 0x63677270)
    assert cgroups.filesystem_type(Path("/proc")) == 0x9FA0
    assert cgroups.filesystem_type(tmp_path / "missing") == 0


def test_a_limit_is_read_back(tmp_path: Path) -> None:
    """Here a plain file keeps what is written: the group is made, and counts no kills."""
    group = fake(tmp_path).create(1 << 26)
    assert (group.folder / "memory.max").read_text() == str(1 << 26)
    assert group.kills() == 0
    (group.folder / "memory.events").write_text("low 0\noom 3\noom_kill 2\noom_group_kill 0\n")
    assert group.kills() == 2
    assert group.entrance == str(group.folder / "cgroup.procs")


def test_a_limit_that_does_not_read_back_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "limits").mkdir()
    controller = cgroups.Controller(
        folder=tmp_path, version=1, limit_file="../limits/void", swap_file="swap", events_file="events"
    )
    (tmp_path / "limits/void").symlink_to("/dev/null")
    with pytest.raises((OSError, ValueError)):
        controller.create(1 << 26)


def test_empty_groups_of_the_dead_are_swept(tmp_path: Path) -> None:
    here = fake(tmp_path).create(1 << 26).folder.name.split("-")[2]
    dead, living = 2**22 + 1, os.getpid()  # pid_max is 2**22 at most
    for name in (f"{dead}-{here}-a", f"{dead}-{here}-b/busy", f"{living}-{here}-c"):
        (tmp_path / f"{cgroups.PREFIX}{name}").mkdir(parents=True)
    (tmp_path / "others").mkdir()
    before = {path.name for path in tmp_path.iterdir()}
    fake(tmp_path).sweep()
    assert before - {path.name for path in tmp_path.iterdir()} == {f"{cgroups.PREFIX}{dead}-{here}-a"}


def test_a_new_group_of_another_container_is_not_swept(tmp_path: Path) -> None:
    """Its owner's number may be nobody's here, and for a moment a new group is empty."""
    new, old = (tmp_path / f"{cgroups.PREFIX}{2**22 + 1}-4026530000-{each}" for each in ("new", "old"))
    for group in (new, old):
        group.mkdir()
    os.utime(old, (0, time.time() - 3700))
    fake(tmp_path).sweep()
    assert [path.name for path in tmp_path.iterdir()] == [new.name]


def test_what_is_found_limits(tmp_path: Path) -> None:
    controller = cgroups.find()
    memory = next(guard for guard in limits(controller) if guard.name == "memory")
    if controller is None:
        assert (memory.holds, bool(memory.remedy)) == ("watchdog", True)
        return
    assert (memory.holds, memory.remedy) == ("hard", "")
    group = controller.create(1 << 26)
    try:
        assert str(os.getpid()) in group.folder.name
        assert cgroups.filesystem_type(group.folder) in (0x27E0EB, 0x63677270)
    finally:
        group.remove()
    assert not group.folder.exists()
    group.remove()


@pytest.mark.parametrize("name", ["time", "processes", "memory", "disk", "file_size", "tmpfs"])
def test_every_limit_is_told_of(name: str) -> None:
    guard = next(guard for guard in limits(None) if guard.name == name)
    assert guard.how
    assert (guard.holds == "hard") is (guard.remedy == "")
