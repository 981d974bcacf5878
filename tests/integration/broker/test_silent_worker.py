"""A broker whose worker says nothing more forgets every grant at the moment that it was told, by its own clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gitward.broker import OpenGrant
from gitward.broker.client import BrokerError
from gitward.broker.client.parent import PROGRAM
from gitward.grants import clock
from gitward.grants.grant import Grant
from gitward.secrets import Secret
from gitward_standin import StandIn

from .conftest import TOKEN
from .wire import Wire, wired


@pytest.fixture
async def wire(github: StandIn, grant: Grant) -> AsyncIterator[Wire]:
    async with wired(github.url, github.api_url, grant, TOKEN, program=PROGRAM) as wire:
        yield wire


async def is_mute(wire: Wire) -> bool:
    """Whether nobody speaks TLS there any more. The port itself is the sandbox's, and stays as long as that."""
    try:
        async with asyncio.timeout(1):
            _, writer = await wire.connect()
    except (TimeoutError, OSError):
        return True
    writer.transport.abort()
    return False


async def test_requests_under_way_and_new_ones_end_with_the_lease(wire: Wire, github: StandIn) -> None:
    """A request that waits for GitHub is cut off, and the connection refuses more."""
    request = wire.head("GET /repos/octo/demo", "Content-Length: 0")
    assert (await wire.send(request)).status == 200
    gate = github.gate(path="*/repos/octo/demo")
    reader, writer = await wire.connect()
    writer.write(request)
    async with asyncio.timeout(20):
        await gate.reached.wait()
    until = clock.seconds() + 0.5
    wire.broker.act_until(until)
    async with asyncio.timeout(20):
        assert await reader.read() == b"", "no answer, and the end of the connection"
    assert clock.seconds() >= until
    writer.transport.abort()
    assert await is_mute(wire)


async def test_a_lease_that_is_renewed_in_time_ends_nothing(wire: Wire) -> None:
    request = wire.head("GET /repos/octo/demo", "Content-Length: 0")
    first = clock.seconds() + 0.5
    wire.broker.act_until(first)
    wire.broker.act_until(first + 600)
    while clock.seconds() < first + 0.2:
        assert (await wire.send(request)).status == 200


async def test_after_its_end_nothing_opens_until_there_is_a_new_lease(wire: Wire, grant: Grant) -> None:
    wire.broker.act_until(0.0)
    async with asyncio.timeout(20):
        while not await is_mute(wire):
            pass
    await wire.opened.close()

    async def open_again() -> OpenGrant:
        return await wire.broker.open(grant, Secret(TOKEN), lambda _event: None)

    with pytest.raises(BrokerError, match=r"open failed: PermissionError|lease is over"):
        await open_again()
    wire.broker.act_until(clock.seconds() + 600)
    await (await open_again()).close()


async def test_closing_what_ended_with_the_lease_takes_no_time(wire: Wire) -> None:
    """A worker that comes back must not wait for a process that opens nothing before the next lease."""
    wire.broker.act_until(clock.seconds())
    while not await is_mute(wire):
        pass
    async with asyncio.timeout(10):
        await wire.opened.close()
