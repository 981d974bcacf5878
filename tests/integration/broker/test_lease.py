"""The broker stops by itself when its worker's lease is over, and is back when it was only late."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from gitward.broker import Brokers, OpenGrant
from gitward.broker.client.authority import issue
from gitward.broker.server.grant_service import GrantService, LeaseOver
from gitward.broker.server.process import Order, _receive
from gitward.broker.wire.config import BrokerConfig
from gitward.broker.wire.link import Link
from gitward.grants import channel, clock
from gitward.secrets import Secret

from .conftest import TOKEN, new_grant
from .orders import to_open
from .rig import Inside

URL = "https://github.com/octo/demo"


async def test_a_worker_that_was_only_late_gets_a_broker_that_knows_its_grants(
    broker: Brokers, opened: OpenGrant, tools: Inside
) -> None:
    """Once the lease is over the process ends, and the next one opens nothing before it is renewed."""
    old = opened.pid
    assert old is not None
    broker.act_until(clock.seconds() + 0.2)
    await _ended(old)
    broker.act_until(clock.seconds() + 60)
    async with asyncio.timeout(60):
        await opened.replaced(old)
    listed = await tools.run("git", "ls-remote", URL, "main")
    assert (listed.status, "refs/heads/main" in listed.out) == (0, True), listed


async def test_an_order_to_a_broker_that_slept_through_its_lease_is_for_the_next(
    broker: Brokers, opened: OpenGrant
) -> None:
    """The worker's lease went on meanwhile: the order is neither refused nor lost."""
    old = opened.pid
    assert old is not None
    over = clock.seconds() + 0.5
    broker.act_until(over)
    await opened.refresh(Secret(TOKEN))  # it has heard of its lease by now
    os.kill(old, signal.SIGSTOP)
    try:
        await asyncio.sleep(max(0.0, over - clock.seconds()) + 0.01)
        broker.act_until(clock.seconds() + 60)
        orders = [asyncio.create_task(opened.refresh(Secret(TOKEN))) for _ in range(3)]
        await asyncio.sleep(0)
    finally:
        os.kill(old, signal.SIGCONT)
    async with asyncio.timeout(60):
        await asyncio.gather(*orders)
    assert opened.pid != old


async def test_nothing_is_answered_once_a_grant_has_ended_with_its_lease(config: BrokerConfig) -> None:
    """Not even what takes something away: the process ends, and that is the answer."""
    certificates = issue(["api.github.test"], expires_at=time.time() + 3600)
    service = GrantService(config, None, _unheard)
    service.renew({"moment": clock.seconds() + 60})
    await service.take(to_open(new_grant(), certificates), [])
    service.renew({"moment": clock.seconds() - 1})
    for op in ("refresh", "attach", "detach", "close", "ping"):
        with pytest.raises(LeaseOver):
            await service.take({"op": op, "name": "1", "token": TOKEN}, [])
    await service.stop()


async def _unheard(*_: object) -> None:
    pass


async def _ended(pid: int) -> None:
    handle = os.pidfd_open(pid)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(handle, ended.set)
    try:
        async with asyncio.timeout(20):
            await ended.wait()
    finally:
        asyncio.get_running_loop().remove_reader(handle)
        os.close(handle)


async def test_a_renewal_does_not_wait_behind_an_order_that_takes_time(config: BrokerConfig) -> None:
    """Closing a grant waits for its connections; meanwhile the lease must not run out."""
    ours, theirs = channel.pair()
    worker, process = Link(ours), Link(theirs)
    service = GrantService(config, None, process.send)
    orders: asyncio.Queue[Order] = asyncio.Queue()
    receiving = asyncio.create_task(_receive(process, service, orders))  # and nobody obeys the orders
    await worker.send({"op": "close", "id": 1})
    await worker.send({"op": "until", "moment": clock.seconds() + 60, "id": 2})
    async with asyncio.timeout(20):
        answer, _ = await worker.receive()
    assert answer == {"id": 2}
    assert orders.qsize() == 1
    receiving.cancel()
    await asyncio.gather(receiving, return_exceptions=True)
    worker.close()
    process.close()
