"""Waits on the event loop for descriptors, and for work that must not be interrupted."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from gitward.grants import channel

T = TypeVar("T")


async def readable(descriptor: int, wake: asyncio.Event | None = None) -> None:
    """Returns when there is something to read, or the end; or when somebody else sets `wake`."""
    loop = asyncio.get_running_loop()
    await _ready(descriptor, loop.add_reader, loop.remove_reader, wake or asyncio.Event())


async def writable(descriptor: int) -> None:
    """Returns when something can be written, or the other end is gone."""
    loop = asyncio.get_running_loop()
    await _ready(descriptor, loop.add_writer, loop.remove_writer, asyncio.Event())


async def _ready(descriptor: int, add: Callable[..., Any], remove: Callable[[int], Any], event: asyncio.Event) -> None:
    add(descriptor, event.set)
    try:
        await event.wait()
    finally:
        remove(descriptor)


async def receive(sock: socket.socket) -> tuple[channel.Message, list[int]]:
    """`channel.receive` on a socket that does not block; one caller at a time."""
    while True:
        try:
            return channel.receive(sock)
        except BlockingIOError:
            await readable(sock.fileno())


async def send(sock: socket.socket, message: channel.Message, fds: tuple[int, ...] = ()) -> None:
    """`channel.send` on a socket that does not block; one caller at a time."""
    while True:
        try:
            channel.send(sock, message, fds)
        except BlockingIOError:
            await writable(sock.fileno())
        else:
            return


async def write_all(descriptor: int, data: bytes) -> None:
    """Writes to a pipe that does not block, until the reader goes away."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            await writable(descriptor)
        except BrokenPipeError:
            return


async def uninterrupted(work: Awaitable[T]) -> T:
    """Finishes the work even when the caller is cancelled, and only then lets the cancellation go on."""
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError from (None if task.cancelled() else task.exception())
    return task.result()
