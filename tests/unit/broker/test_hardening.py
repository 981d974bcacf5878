from __future__ import annotations

from pathlib import Path

from gitward.broker.server.hardening import first_unreadable


def test_what_another_user_cannot_read_is_found(tmp_path: Path) -> None:
    """The broker gives up root only when its code is readable without it."""
    outer = tmp_path / "outer"
    inner = outer / "inner"
    inner.mkdir(parents=True)
    file = inner / "module.py"
    file.touch()
    for path, mode in ((tmp_path, 0o755), (outer, 0o755), (inner, 0o755), (file, 0o644)):
        path.chmod(mode)
    above = first_unreadable([tmp_path / "outer"])  # pytest's own folders may be closed to others
    assert first_unreadable([file]) == (file if above else None)
    file.chmod(0o600)
    assert first_unreadable([file]) == file
    file.chmod(0o644)
    outer.chmod(0o700)
    assert first_unreadable([file]) == file
    assert first_unreadable([Path("/bin/sh").resolve()]) is None
