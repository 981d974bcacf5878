"""What goes when a disk is full, and what stays: the work of nobody may be lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import small_disks
from gitward.runs.storage import removable_files

FACTS = {
    "run_id": "run_1",
    "attempt": 1,
    "repository": "acme/widgets",
    "start": {"branch": "b", "target_branch": "main", "sha": "a" * 40, "target_sha": "a" * 40, "branch_sha": None},
    "index": None,
}
PROGRAM = "import sys, pathlib, test_spare_files as t; t.make_room_twice(pathlib.Path(sys.argv[1]))"
LARGE = 12 * 2**20  # too large to be kept as work


def write(path: Path, size: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return path


def lost(workspace: Path) -> Path:
    """A workspace whose attempt was lost: its work is not kept yet."""
    write(workspace / "baseline" / "facts.json").write_text(json.dumps(FACTS))
    write(workspace / "baseline" / "index")
    return write(workspace / "work" / "repo" / "precious")


def test_only_caches_of_sessions_without_a_run_go(tmp_path: Path) -> None:
    idle, busy = write(tmp_path / "ses_1/work/cache/pip"), write(tmp_path / "ses_2/work/cache/pip")
    left = write(tmp_path / "ses_3/work/cache/pip")
    lost(tmp_path / "ses_3")
    assert removable_files.clear_idle(tmp_path, {tmp_path / "ses_2"})
    assert (idle.exists(), busy.exists(), left.exists()) == (False, True, True)
    assert not removable_files.clear_idle(tmp_path, {tmp_path / "ses_2"}), "there is nothing more"


def test_a_start_with_room_removes_nothing(tmp_path: Path) -> None:
    cache = write(tmp_path / "workspaces/ses_1/work/cache/pip")
    removable_files.make_room(tmp_path)
    assert cache.exists()


def test_a_start_on_a_full_disk_keeps_the_work_of_a_lost_attempt(tmp_path: Path) -> None:
    """In a program of its own, which an ordinary user can give a disk too."""
    place = tmp_path / "data"
    with small_disks.mounted({place: 64}) as prefix:
        found = os.pathsep.join([os.path.dirname(small_disks.__file__), os.path.dirname(__file__)])
        argv = (*prefix, sys.executable, "-c", PROGRAM, str(place))
        done = subprocess.run(
            argv, check=False, capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": found}
        )
    assert done.returncode == 0, done.stderr


def make_room_twice(data: Path) -> None:
    precious = lost(data / "workspaces/ses_1")
    large = write(data / "workspaces/ses_1/work/repo/large", LARGE)
    cache = write(data / "workspaces/ses_1/work/cache/pip", LARGE)
    half = write(data / "making/half", LARGE)
    small_disks.fill(data)
    removable_files.make_room(data)
    assert not half.exists()
    assert (cache.exists(), large.exists()) == (True, True), "that was enough"
    (data / "filler").rename(data / "filler2")
    small_disks.fill(data)
    removable_files.make_room(data)
    assert (cache.exists(), large.exists(), precious.exists()) == (False, False, True)
