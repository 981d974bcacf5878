"""Where /proc hides other users' processes, a machine has a name all the same, and one that nobody shares."""

from __future__ import annotations

import os
from typing import Any

import pytest

from gitward.grants.processes import machine


@pytest.mark.parametrize("error", [PermissionError, FileNotFoundError])  # hidepid=1, hidepid=2
def test_hidden_processes_prove_nothing(error: type[OSError], monkeypatch: pytest.MonkeyPatch) -> None:
    plain_stat, plain_access = os.stat, os.access

    def stat(path: Any, *arguments: Any, **more: Any) -> os.stat_result:
        if os.fspath(path) == "/proc/1/stat":
            raise error(path)
        return plain_stat(path, *arguments, **more)

    def access(path: Any, *arguments: Any, **more: Any) -> bool:
        return os.fspath(path) != "/proc/1/stat" and plain_access(path, *arguments, **more)

    monkeypatch.setattr(os, "stat", stat)
    monkeypatch.setattr(os, "access", access)
    assert machine() != machine()
