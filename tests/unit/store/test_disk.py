"""What errors and disks tell."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from gitward.store import disk


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ENOSPC, "is full"),
        (errno.EDQUOT, "is full: a quota is used up"),
        (errno.EROFS, "is read-only"),
        (errno.EIO, "cannot be written"),
        (errno.ENOENT, None),
    ],
)
def test_an_error_of_the_kernel_tells_what_is_wrong_with_a_disk(number: int, told: str | None) -> None:
    assert disk.fault_of(OSError(number, os.strerror(number))) == told


def test_an_error_of_postgres_tells_of_its_disk() -> None:
    error = sa.exc.OperationalError("INSERT", {}, psycopg.errors.DiskFull("could not extend file"))
    assert disk.fault_of(error) == "is full"


def test_a_quota_of_postgres_is_told_like_a_full_disk() -> None:
    words = 'could not extend file "base/16384/2619": Disk quota exceeded\nHINT:  Check free disk space.'
    error = sa.exc.InternalError("INSERT", {}, psycopg.errors.InternalError_(words))
    assert disk.fault_of(error) == "is full: a quota is used up"


def test_other_errors_of_a_database_tell_nothing_of_a_disk() -> None:
    with pytest.raises(sqlite3.OperationalError) as caught:
        sqlite3.connect(":memory:").execute("nonsense")
    assert disk.fault_of(sa.exc.OperationalError("nonsense", {}, caught.value)) is None
    assert disk.fault_of(TimeoutError("the database did not answer in time")) is None


def test_a_trial_leaves_nothing_behind(tmp_path: Path) -> None:
    assert disk.refusal(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    assert disk.refusal(tmp_path / "missing") == "cannot be written (No such file or directory)"
