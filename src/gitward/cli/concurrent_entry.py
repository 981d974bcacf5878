"""Enters two context managers at the same time."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


async def enter_both(
    stack: AsyncExitStack, first: AbstractAsyncContextManager[A], second: AbstractAsyncContextManager[B]
) -> tuple[A, B]:
    """Both are entered at once; the stack leaves the second before the first.

    When one fails, or the caller is cancelled, the other one is cancelled, or left if it was entered already.
    """
    one, two = asyncio.create_task(first.__aenter__()), asyncio.create_task(second.__aenter__())
    try:
        await asyncio.wait([one, two], return_when=asyncio.FIRST_EXCEPTION)
    finally:
        one.cancel()
        two.cancel()
        await asyncio.wait([one, two])
        for manager, entered in ((first, one), (second, two)):
            if not entered.cancelled() and entered.exception() is None:
                stack.push_async_exit(manager)
    failed = next((each for each in (one, two) if not each.cancelled() and each.exception()), None)
    if failed is not None:
        await failed
    return await one, await two
