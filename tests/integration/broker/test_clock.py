"""The machine's date may jump while a run goes on: its grant ends neither early nor late by that."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gitward.broker import BrokerConfig
from gitward.broker.client.authority import issue
from gitward.broker.server.grant_service import GrantService
from gitward.grants import clock
from gitward_standin import StandIn

from .conftest import new_grant
from .orders import CREDENTIAL, to_open

HOUR = 3600.0


class Process:
    """What is inside the broker's process, in this one, so that its clock can be set."""

    def __init__(self, github: StandIn) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        config = BrokerConfig(
            server_url=f"https://github.test:{self.port}",
            api_url=f"https://api.github.test:{self.port}",
            upstream_url=github.url,
            upstream_api_url=github.api_url,
        )
        self.service = GrantService(config, None, self._send)
        self.certificates = issue(["api.github.test"], expires_at=time.time() + HOUR)

    async def _send(self, *_: object) -> None:
        """Nobody listens to its events."""

    async def open(self, *, seconds: float) -> None:
        grant = replace(new_grant(), expires_at=clock.seconds() + seconds)
        await self.service.take(to_open(grant, self.certificates), [])
        await self.service.take({"op": "attach", "name": "1"}, [os.dup(self.listener.fileno())])

    async def status(self) -> int:
        """Of an answer to `GET /user`."""
        tls = ssl.create_default_context(cadata=self.certificates.ca_pem.decode())
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", self.port, ssl=tls, server_hostname="api.github.test"
            )
            host = f"Host: api.github.test:{self.port}\r\nUser-Agent: test\r\n"
            request = f"GET /user HTTP/1.1\r\n{host}Authorization: token {CREDENTIAL}\r\n\r\n"
            writer.write(request.encode())
            line = await reader.readline()
            writer.transport.abort()
        return int(line.split()[1])


@pytest.fixture
async def process(github: StandIn) -> AsyncIterator[Process]:
    made = Process(github)
    yield made
    await made.service.stop()
    made.listener.close()


@pytest.mark.parametrize("jump", [12 * HOUR, -12 * HOUR])
async def test_a_jump_of_the_date_does_not_move_the_end_of_a_grant(
    process: Process, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    await process.open(seconds=HOUR)
    assert await process.status() == 200
    true_time = time.time
    monkeypatch.setattr(time, "time", lambda: true_time() + jump)
    assert await process.status() == 200


async def test_a_grant_that_has_ended_is_not_opened_again_by_setting_the_date_back(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    await process.open(seconds=0.0)
    true_time = time.time
    monkeypatch.setattr(time, "time", lambda: true_time() - 12 * HOUR)
    assert await process.status() == 403


def test_the_clock_of_grants_is_not_the_date(monkeypatch: pytest.MonkeyPatch) -> None:
    before = clock.seconds()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert before <= clock.seconds() < before + 60
