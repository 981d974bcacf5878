"""The watchdogs' figures, seen from the process that is looked at itself."""

from __future__ import annotations

import pytest

from gitward.sandboxes import memory_usage
from gitward.sandboxes.disk_ledger import DiskLedger


def test_a_ledger_keeps_what_ended_supervisors_added() -> None:
    ledger = DiskLedger()
    one, other = ledger.next_entry(), ledger.next_entry()
    one.tell(100)
    one.tell(70)
    assert (one.others(), other.others()) == (0, 70)
    other.tell(5)
    assert one.others() == 5
    other.tell(-5)  # it removed more than it added: that explains no loss of others
    assert one.others() == 0


def test_an_entry_that_is_used_again_goes_on_from_what_was_there() -> None:
    ledger = DiskLedger()
    first = ledger.next_entry()
    first.tell(100)
    again = next(entry for _ in range(10_000) if (entry := ledger.next_entry()).offset == first.offset)
    again.tell(1)
    assert (ledger.total(), again.others()) == (101, 100)


def test_this_kernel_tells_what_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it does not, the limit is not held at all, and a strict service does not start."""
    assert memory_usage.is_told()
    monkeypatch.setattr(memory_usage, "_SEGMENTS", "/no/such/file")
    assert not memory_usage.is_told()
