"""Memory cgroups: only real ones count."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitward.grants import cgroups, clock, processes
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


DAY = 24 * 3600
NOBODY = 2**22 + 1  # pid_max is 2**22 at most


def group(folder: Path, owner: str, *, namespace: str, made: float = 0) -> Path:
    """An empty one of an owner, "<pid>-<start time>", made so many seconds after the machine's start."""
    made_at = folder / f"{cgroups.PREFIX}{owner}-{namespace}-{made:.0f}-0123abcd"
    made_at.mkdir()
    return made_at


def test_empty_groups_of_the_dead_are_swept(tmp_path: Path) -> None:
    mine = fake(tmp_path).create(1 << 26).folder
    (mine / "memory.max").unlink()
    _, pid, started, here, made, _ = mine.name.split("-")
    assert (int(pid), started) == (os.getpid(), processes.start_time(os.getpid()))
    assert abs(int(made) - clock.seconds()) < 60
    dead = group(tmp_path, f"{NOBODY}-{started}", namespace=here)
    earlier = group(tmp_path, f"{pid}-1", namespace=here)  # who had this number before
    (group(tmp_path, f"{NOBODY}-2", namespace=here) / "inner").mkdir()
    (tmp_path / "others").mkdir()
    before = {path.name for path in tmp_path.iterdir()}
    fake(tmp_path).sweep()
    assert before - {path.name for path in tmp_path.iterdir()} == {dead.name, earlier.name}


def test_a_group_of_another_container_is_swept_when_no_sandbox_is_so_old(tmp_path: Path) -> None:
    """Its owner's number may be nobody's here, and a living sandbox's group is empty now and then."""
    new = group(tmp_path, f"{NOBODY}-1", namespace="4026530000", made=9 * DAY)
    group(tmp_path, f"{NOBODY}-1", namespace="4026530000", made=DAY)
    fake(tmp_path).sweep(seconds=lambda: 10 * DAY)
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
