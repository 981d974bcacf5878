"""Who may run on a workspace, and the end of those who may no longer."""

from __future__ import annotations

import os
import select
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitward.grants import processes
from gitward.sandboxes import workspace_lock


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_a_taken_workspace_has_a_current_claim(tmp_path: Path) -> None:
    claim = workspace_lock.acquire(tmp_path)
    path = str(tmp_path / workspace_lock.CLAIM)
    assert workspace_lock.is_current(claim, path)
    workspace_lock.release(tmp_path, claim)
    assert not (tmp_path / workspace_lock.CLAIM).exists()


def test_the_next_claim_replaces_the_first(tmp_path: Path) -> None:
    first = workspace_lock.acquire(tmp_path)
    second = workspace_lock.acquire(tmp_path)
    path = str(tmp_path / workspace_lock.CLAIM)
    assert (workspace_lock.is_current(first, path), workspace_lock.is_current(second, path)) == (False, True)
    workspace_lock.release(tmp_path, first)
    assert workspace_lock.is_current(second, path)
    workspace_lock.release(tmp_path, second)
    assert not any(
        path.name.startswith(f"{workspace_lock.CLAIM}.") for path in tmp_path.iterdir() if path.suffix != ".lock"
    )


def test_taking_ends_those_who_stand_in_the_old_claim(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    old = workspace_lock.acquire(tmp_path)
    workspace_lock.record(old, sleeper.pid)
    new = workspace_lock.acquire(tmp_path)
    assert sleeper.wait(timeout=5) == -9
    os.close(old)
    workspace_lock.release(tmp_path, new)


def test_who_is_recorded_can_be_ended_while_the_claim_is_held(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    claim = workspace_lock.acquire(tmp_path)
    workspace_lock.record(claim, sleeper.pid)
    workspace_lock.end_recorded(claim)
    assert sleeper.wait(timeout=5) == -9
    workspace_lock.end_recorded(claim)
    workspace_lock.release(tmp_path, claim)


def test_a_stopped_process_ends_too(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.send_signal(19)
    old = workspace_lock.acquire(tmp_path)
    workspace_lock.record(old, sleeper.pid)
    os.close(old)
    workspace_lock.release(tmp_path, workspace_lock.acquire(tmp_path))
    assert sleeper.wait(timeout=5) == -9


@pytest.mark.parametrize(
    "line",
    ["{pid} 12345", "{pid}", "", "x y", "-1 5", "0 0", "99999999999 1", "\xff\xfe {started}", "{pid} {started} x"],
)
def test_nobody_else_is_ended(tmp_path: Path, sleeper: subprocess.Popen[bytes], line: str) -> None:
    """Neither a later process with the same number, nor one that a damaged claim seems to name."""
    text = line.format(pid=sleeper.pid, started=processes.start_time(sleeper.pid))
    (tmp_path / workspace_lock.CLAIM).write_text(text + "\n", encoding="latin-1")
    workspace_lock.release(tmp_path, workspace_lock.acquire(tmp_path))
    handle = os.pidfd_open(sleeper.pid)
    assert not select.select([handle], [], [], 0.05)[0]
    os.close(handle)


def test_the_start_time_is_the_kernels() -> None:
    stat = Path("/proc/self/stat").read_text()
    assert processes.start_time(os.getpid()) == stat.rpartition(")")[2].split()[19]
    assert processes.start_time(2**22 + 1) is None


def test_of_many_takers_at_once_one_has_it(tmp_path: Path) -> None:
    taken: list[int] = []
    threads = [threading.Thread(target=lambda: taken.append(workspace_lock.acquire(tmp_path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    path = str(tmp_path / workspace_lock.CLAIM)
    assert [workspace_lock.is_current(claim, path) for claim in taken].count(True) == 1
    for claim in taken:
        workspace_lock.release(tmp_path, claim)
