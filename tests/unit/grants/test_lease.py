"""A lease ends by the clock, and once it has ended it stays so."""

from __future__ import annotations

import asyncio
import os

import pytest

from gitward.grants import clock, processes
from gitward.grants.lease import Lease, LeaseLost
from gitward.grants.lease_end import over


async def test_it_ends_at_its_time_unless_it_is_renewed() -> None:
    lease = Lease(clock.seconds() + 0.2)
    ending = asyncio.create_task(over(lease))
    assert lease.renew(clock.seconds() + 0.4)
    lease.require()
    async with asyncio.timeout(20):
        await ending
    assert clock.seconds() >= lease.until
    assert (lease.held, lease.left) == (False, 0.0)


def test_one_that_has_ended_cannot_be_renewed() -> None:
    """Others may have acted upon its end."""
    lease = Lease(clock.seconds() - 0.001)
    assert not lease.renew(clock.seconds() + 600)
    with pytest.raises(LeaseLost):
        lease.require()


def test_a_renewal_never_shortens_it() -> None:
    lease = Lease(clock.seconds() + 600)
    until = lease.until
    assert lease.renew(clock.seconds() + 1)
    assert lease.until == until


def test_it_can_be_given_up() -> None:
    lease = Lease()
    assert lease.held
    lease.give_up()
    assert not lease.held


def test_a_process_is_told_from_a_later_one_with_its_number() -> None:
    identity = processes.identity(os.getpid())
    assert identity is not None
    assert processes.is_alive(identity)
    pid, _, started = identity.partition(" ")
    assert not processes.is_alive(f"{pid} {int(started) + 1}")
    assert not processes.is_alive("no process")
    assert processes.identities([os.getpid(), None, 2**22 + 1]) == [identity]
