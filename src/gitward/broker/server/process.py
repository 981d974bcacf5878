"""The broker process: `python -I -m gitward.broker.server.process`, with its channel as standard input.

It ends when the channel closes, and holds no token before its worker opens a grant.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import sys
from collections.abc import Callable
from urllib.parse import urlsplit

from gitward.broker.server.hardening import harden
from gitward.broker.server.questions import Send
from gitward.broker.server.service import Service
from gitward.broker.server.tls import upstream_context
from gitward.broker.server.way_out import route_of
from gitward.broker.wire.config import BrokerConfig
from gitward.broker.wire.link import Link
from gitward.grants import channel
from gitward.grants.channel import ChannelClosed, Message
from gitward.telemetry.logs import setup_logging

log = logging.getLogger(__name__)

Order = tuple[Message, list[int]]  # a message, and its descriptors


def main() -> int:
    setup_logging()
    sock = socket.socket(fileno=0)
    message, fds = channel.receive(sock)
    channel.close_all(fds)
    config = BrokerConfig.of(message["config"])
    tls = _upstream_tls(config)  # read while we may still read everything
    harden()
    route = route_of(config, message["proxy_login"])
    with contextlib.suppress(ChannelClosed):
        asyncio.run(_serve(sock, lambda send: Service(config, tls, send, route), message["id"]))
    return 0


async def _serve(sock: socket.socket, new_service: Callable[[Send], Service], first: int) -> None:
    """Until the channel closes, or the lease of a worker with open grants is over. Raises ChannelClosed."""
    link = Link(sock)
    service = new_service(link.send)
    await link.send({"id": first})
    orders: asyncio.Queue[Order] = asyncio.Queue()
    tasks = [
        asyncio.create_task(service.watch(), name="lease"),
        asyncio.create_task(_receive(link, service, orders), name="messages"),
        asyncio.create_task(_obey(link, service, orders), name="orders"),
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await service.stop()


async def _receive(link: Link, service: Service, orders: asyncio.Queue[Order]) -> None:
    while True:
        message, fds = await link.receive()
        if message["op"] == "until":
            channel.close_all(fds)
            service.renew(message)
            await link.send({"id": message["id"]})
        else:
            orders.put_nowait((message, fds))


async def _obey(link: Link, service: Service, orders: asyncio.Queue[Order]) -> None:
    """One after the other: the worker waits for each answer, and order is what makes `close` final."""
    while True:
        message, fds = await orders.get()
        await link.send(await _answer(service, message, fds))


async def _answer(service: Service, message: Message, fds: list[int]) -> Message:
    try:
        await service.take(message, fds)
    except (ValueError, TypeError, KeyError, OSError) as error:
        log.exception("the message %s failed", message.get("op"))
        return {"id": message["id"], "error": f"{message.get('op')} failed: {type(error).__name__}"}
    return {"id": message["id"]}


def _upstream_tls(config: BrokerConfig) -> ssl.SSLContext | None:
    urls = (config.upstream_url, config.upstream_api_url)
    if not config.inject and all(urlsplit(url).scheme == "http" for url in urls):
        return None  # a stand-in on loopback; the roots would cost memory
    return upstream_context(config.ca_file)


if __name__ == "__main__":
    sys.exit(main())
