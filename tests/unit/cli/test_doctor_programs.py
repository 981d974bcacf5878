"""What the doctor says of gh, by the version that it tells."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitward.cli.doctor import machine
from gitward.cli.doctor.findings import Verdict


def program(folder: Path, does: str) -> str:
    made = folder / "gh"
    made.write_text(f"#!/bin/sh\n{does}\n")
    made.chmod(0o755)
    return str(made)


@pytest.mark.parametrize("version", ["2.82.0", "2.102.0", "3.0.0"])
async def test_one_of_today_is_fine(tmp_path: Path, version: str) -> None:
    finding = await machine._gh(program(tmp_path, f"echo 'gh version {version} (2025-11-01)'"))
    assert finding.verdict is Verdict.OK


async def test_an_old_one_is_told(tmp_path: Path) -> None:
    finding = await machine._gh(program(tmp_path, "echo 'gh version 2.23.0 (2023-02-27 Debian 2.23.0+dfsg1-1)'"))
    assert finding.verdict is Verdict.WARN
    assert "is 2.23: on github.com" in finding.detail
    assert "gh 2.82 or newer" in str(finding.remedy)


@pytest.mark.parametrize("does", ["exit 1", "printf '\\377\\376'", "sleep 60"])
async def test_one_that_tells_no_version_hides_no_other_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str
) -> None:
    monkeypatch.setattr(machine, "_VERSION_SECONDS", 0.3)
    finding = await machine._gh(program(tmp_path, does))
    assert (finding.verdict, "tells no version" in finding.detail) == (Verdict.WARN, True)


async def test_it_gets_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "SOME_API_KEY", "sk-0123456789")
    finding = await machine._gh(program(tmp_path, 'test -z "$SOME_API_KEY" && echo "gh version 2.90.0"'))
    assert finding.verdict is Verdict.OK
