"""User ids for slots."""

from __future__ import annotations

import os
import pwd
import subprocess
import time
from pathlib import Path

import pytest

from gitward.sandboxes import SandboxError, uids
from gitward.sandboxes.sandbox_resources import check_way_in

BASE = 61120  # away from those that running sandboxes have


def test_two_leases_are_never_the_same_and_a_released_one_is_free(tmp_path: Path) -> None:
    first, second = uids.lease(base=BASE, folder=tmp_path), uids.lease(base=BASE, folder=tmp_path)
    assert (first.uid, second.uid) == (BASE, BASE + 1)
    first.release()
    first.release()
    third = uids.lease(base=BASE, folder=tmp_path)
    assert third.uid == BASE
    second.release()
    third.release()


def test_a_workspaces_last_owner_is_preferred(tmp_path: Path) -> None:
    first = uids.lease(base=BASE, preferred=BASE + 7, folder=tmp_path)
    assert first.uid == BASE + 7
    second = uids.lease(base=BASE, preferred=BASE + 7, folder=tmp_path)
    assert second.uid == BASE
    for lease in (first, second):
        lease.release()


@pytest.mark.parametrize("stranger", [0, 1000, BASE - 1])
def test_an_owner_that_is_no_slots_is_not_preferred(tmp_path: Path, stranger: int) -> None:
    lease = uids.lease(base=BASE, preferred=stranger, folder=tmp_path)
    assert lease.uid == BASE
    lease.release()


def test_an_account_is_never_used(tmp_path: Path) -> None:
    account = max(entry.pw_uid for entry in pwd.getpwall() if entry.pw_uid < 60000)
    assert uids.has_account(account)
    lease = uids.lease(base=account, folder=tmp_path)
    assert not uids.has_account(lease.uid)
    lease.release()


def test_root_is_never_used(tmp_path: Path) -> None:
    lease = uids.lease(base=0, folder=tmp_path)
    assert lease.uid > 0
    lease.release()


if os.geteuid() == 0:  # only root has sandboxes of other users

    def test_processes_that_are_left_are_ended(tmp_path: Path) -> None:
        uid = BASE + 9
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE, user=uid, group=uid, extra_groups=[]) as left:
            lease = uids.lease(base=uid, folder=tmp_path)
            assert left.wait(timeout=5) == -9
            lease.release()


def test_a_user_without_processes_costs_nothing_however_many_processes_the_machine_has() -> None:
    def cpu() -> float:
        began = time.thread_time()
        for _ in range(100):
            uids.end_processes(BASE + 9)
        return time.thread_time() - began

    assert min(cpu() for _ in range(3)) < 0.01


def test_the_way_in_is_looked_at_from_the_users_side(tmp_path: Path) -> None:
    inner = tmp_path / "a/b"
    inner.mkdir(parents=True)
    for place in (inner, *inner.parents):
        if place.stat().st_uid == os.getuid() and place != Path("/") and place.is_relative_to(tmp_path):
            place.chmod(0o755)
    (tmp_path / "a").chmod(0o700)
    with pytest.raises(SandboxError, match=r"cannot pass through .*/a\. .*chmod o\+x"):
        check_way_in(inner, 61000)
