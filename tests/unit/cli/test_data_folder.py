"""The data folder: made whatever the umask, and refused where sandboxes could not get to it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitward.cli.data_folder import check_way_to, prepare_data_dir
from gitward.errors import SettingsError


@pytest.fixture
def folder() -> Iterator[Path]:
    """Unlike `tmp_path`, one that others may get to; the umask comes back."""
    before = os.umask(0o077)
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        place.chmod(0o711)
        yield place
    os.umask(before)


def _mode(folder: Path) -> int:
    return folder.stat().st_mode & 0o777


def test_folders_that_were_made_let_others_through(folder: Path) -> None:
    data = folder / "srv" / "gitward" / "data"
    prepare_data_dir(data)
    assert [_mode(each) for each in (data.parent.parent, data.parent, data, data / "workspaces")] == [0o711] * 4
    check_way_to(data)


def test_a_closed_folder_above_is_named_with_its_remedy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = folder / "home"
    closed.mkdir(mode=0o700)
    prepare_data_dir(closed / "data")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with pytest.raises(SettingsError) as refused:
        check_way_to(closed / "data")
    assert str(refused.value) == (
        f"GITWARD_DATA_DIR: sandboxes run as users of their own, who cannot pass through {closed} (mode 0700) to "
        f"{closed / 'data'}; choose another folder, such as /var/lib/gitward, or run: chmod o+x {closed}"
    )


def test_a_worker_that_is_not_root_needs_no_way(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = folder / "home"
    closed.mkdir(mode=0o700)
    prepare_data_dir(closed / "data")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    check_way_to(closed / "data")
