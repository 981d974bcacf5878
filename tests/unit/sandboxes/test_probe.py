"""The trial of a sandbox at the start."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from gitward.sandboxes import probe


def test_an_ordinary_user_s_trial_needs_no_room_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service makes room after it: a start on a full disk must get so far."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with probe._folder() as folder:
        assert folder.parent == tmp_path
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))  # refused, as a full disk refuses
    with probe._folder() as folder:
        assert folder.parent == Path("/dev/shm")
        assert folder.stat().st_mode & 0o777 == 0o711
    assert not folder.exists()
