"""One broker: a fork of the warm parent that serves one grant.

It ends when its channel closes, or when its worker's lease ends; it holds no token before its worker opens the grant.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import socket
import ssl
import threading

from gitward.broker.server.grant_service import GrantService, LeaseOver
from gitward.broker.server.hardening import name_process
from gitward.broker.wire.config import BrokerConfig
from gitward.broker.wire.link import Link
from gitward.broker.wire.names import BROKER_NAME
from gitward.grants import channel
from gitward.grants.channel import ChannelClosed, Message

log = logging.getLogger(__name__)

_STACK_BYTES = 1024 * 1024  # of the threads that look names up

Order = tuple[Message, list[int]]  # a message, and its descriptors


def live(sock: socket.socket, config: BrokerConfig, tls: ssl.SSLContext | None, *, entrance: int | None) -> None:
    """Serves the worker at the other end of `sock` until it is gone. The caller ends the process.

    :param entrance: of a memory cgroup; it is closed.
    """
    name_process(BROKER_NAME)
    if entrance is not None:
        _enter(entrance)
    threading.stack_size(_STACK_BYTES)
    gc.enable()
    loop = asyncio.new_event_loop()  # never closed: that would wait for names that are being looked up
    with contextlib.suppress(ChannelClosed):
        loop.run_until_complete(_serve(sock, config, tls))


def _enter(entrance: int) -> None:
    """What this process takes from now on counts in the group."""
    try:
        os.write(entrance, b"0")
    except OSError as error:
        log.warning("a broker is in no memory cgroup: %s", error)
    finally:
        os.close(entrance)


async def _serve(sock: socket.socket, config: BrokerConfig, tls: ssl.SSLContext | None) -> None:
    """Until the channel closes, or the worker's lease is over while the grant is open. Raises ChannelClosed."""
    link = Link(sock)
    service = GrantService(config, tls, link.send)
    orders: asyncio.Queue[Order] = asyncio.Queue()
    tasks = [
        asyncio.create_task(service.watch(), name="lease"),
        asyncio.create_task(_receive(link, service, orders), name="messages"),
        asyncio.create_task(_obey(link, service, orders), name="orders"),
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            with contextlib.suppress(LeaseOver):
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await service.stop()


async def _receive(link: Link, service: GrantService, orders: asyncio.Queue[Order]) -> None:
    while True:
        message, fds = await link.receive()
        if message["op"] == "until":
            channel.close_all(fds)
            service.renew(message)
            await link.send({"id": message["id"]})
        else:
            orders.put_nowait((message, fds))


async def _obey(link: Link, service: GrantService, orders: asyncio.Queue[Order]) -> None:
    """One after the other: the worker waits for each answer, and order is what makes `close` final."""
    while True:
        message, fds = await orders.get()
        await link.send(await _answer(service, message, fds))


async def _answer(service: GrantService, message: Message, fds: list[int]) -> Message:
    try:
        await service.take(message, fds)
    except (ValueError, TypeError, KeyError, OSError) as error:
        log.exception("the message %s failed", message.get("op"))
        return {"id": message["id"], "error": f"{message.get('op')} failed: {type(error).__name__}"}
    return {"id": message["id"]}
