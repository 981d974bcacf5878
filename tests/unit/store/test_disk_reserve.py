"""A database on a disk without a free byte: what its reserve is good for. A program of its own sees the disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import small_disks
from small_disks import mounted

PROGRAM = Path(__file__).with_name("full_disk_program.py")


def tried(tmp_path: Path, *arguments: str, disk: int | str = 64) -> dict[str, Any]:
    """What a program saw that filled the disk of its database."""
    place = tmp_path / "disk"
    with mounted({place: disk}) as prefix:
        argv = (*prefix, sys.executable, str(PROGRAM), str(place), *arguments)
        known = {**os.environ, "PYTHONPATH": os.path.dirname(small_disks.__file__)}
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60, env=known)
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def test_without_a_reserve_a_full_disk_takes_nothing(tmp_path: Path) -> None:
    seen = tried(tmp_path, "0")
    assert seen["taken"] == 0
    assert seen["fault"] == "is full"


def test_a_reserve_takes_hundreds_of_transactions_on_a_full_disk(tmp_path: Path) -> None:
    seen = tried(tmp_path, "32")
    assert seen["taken"] > 300
    assert seen["whole"] == "ok"
    assert seen["rows"] == seen["taken"] + 1, "and none is lost when there is room again"


def test_a_database_is_opened_on_a_full_disk(tmp_path: Path) -> None:
    """Its log went with the last connection, and with it the log's blocks."""
    assert tried(tmp_path, "32", "reopened")["taken"] > 150
    with pytest.raises(AssertionError, match=r"database or disk is full|disk I/O error|unable to open"):
        tried(tmp_path, "0", "reopened")


def test_the_reserve_is_made_again_when_there_is_room(tmp_path: Path) -> None:
    seen = tried(tmp_path, "32")
    assert seen["reserve_before"] == seen["reserve_after"] == 4 * 2**20, "of a small disk it is a part"


def test_a_disk_that_is_read_only_is_told(tmp_path: Path) -> None:
    """No journal can be made there."""
    assert tried(tmp_path, "0", "read-only")["fault"] == "cannot be written"
