"""`scripts/test` fails when anything that it calls fails: each call of each part is made to fail once."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "test"
PREPARING = ("setup", "contract-tools", "web-servers", "site", "agents", "environments")
CHECKING = (".venv/bin/python", ".venv/bin/ruff", ".venv/bin/lint-imports", ".venv/bin/mypy", "scripts/chaos")
PARTS = ("core", "service", "agents", "browser", "environments", "chaos")

# Writes down what it was called with, and fails for the call that it was told.
RECORDER = """#!/bin/bash
said="${0##*/} $*"
echo "$said" >> calls
[ "$said" != "$FAILING" ]
"""


@pytest.fixture
def clone() -> Iterator[Path]:
    """A folder that has the script, and of all else only what writes down that it was called."""
    folder = Path(tempfile.mkdtemp(prefix="gitward-parts-", dir="/var/tmp"))
    folder.chmod(0o755)  # or the script says at once that sandboxes cannot pass
    for name in (*(f"scripts/{each}" for each in PREPARING), *CHECKING):
        program = folder / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(RECORDER)
        program.chmod(0o755)
    shutil.copy(SCRIPT, folder / "scripts")
    yield folder
    shutil.rmtree(folder)


def run(clone: Path, *arguments: str, failing: str = "") -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """How it ended, and every call that it made."""
    (clone / "calls").unlink(missing_ok=True)
    ended = subprocess.run(
        [clone / "scripts/test", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "FAILING": failing},
    )
    return ended, (clone / "calls").read_text().splitlines()


@pytest.mark.parametrize("part", PARTS)
def test_a_part_fails_with_any_of_its_calls(clone: Path, part: str) -> None:
    ended, calls = run(clone, part)
    assert (ended.returncode, f"test: part {part:<11} ok" in ended.stdout) == (0, True), ended
    for call in calls:
        ended, _ = run(clone, part, failing=call)
        assert ended.returncode != 0, call
        assert f"test: part {part:<11} ok" not in ended.stdout, call


def test_the_whole_fails_with_any_part_and_runs_the_others(clone: Path) -> None:
    ended, calls = run(clone)
    assert (ended.returncode, ended.stdout.count(" ok (")) == (0, len(PARTS) + 4), ended
    for call in (each for each in calls if each.startswith(("python", "chaos"))):
        ended, others = run(clone, failing=call)
        assert ended.returncode == 1, call
        assert (ended.stdout.count("FAILED"), sorted(others)) == (1, sorted(calls)), call


@pytest.mark.parametrize("arguments", [["--fast"], ["tests/unit", "-k", "broker"]])
def test_so_do_the_quick_ones(clone: Path, arguments: list[str]) -> None:
    ended, calls = run(clone, *arguments)
    assert ended.returncode == 0, ended
    for call in calls:
        ended, _ = run(clone, *arguments, failing=call)
        assert ended.returncode != 0, call
