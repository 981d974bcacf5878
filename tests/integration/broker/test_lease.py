"""The broker stops by itself when its worker's lease is over, and is back when it was only late."""

from __future__ import annotations

import asyncio
import os

from gitward.broker import Brokers, OpenGrant
from gitward.broker.server.grant_service import GrantService
from gitward.broker.server.process import Order, _receive
from gitward.broker.wire.config import BrokerConfig
from gitward.broker.wire.link import Link
from gitward.grants import channel, clock

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
