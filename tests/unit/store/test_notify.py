"""A reader that looks at the rows and then waits misses nothing, and can always be cancelled."""

from __future__ import annotations

import asyncio

from gitward.store.notify import Notifier


async def test_a_waiting_reader_is_woken_by_its_own_session() -> None:
    notifier = Notifier()
    with notifier.subscribe("one") as news, notifier.subscribe("two") as other:
        waiting = asyncio.create_task(news.wait(20))
        await asyncio.sleep(0)
        notifier.notify("one")
        assert await waiting
        assert not await other.wait(0)


async def test_news_that_came_while_the_reader_looked_is_not_missed() -> None:
    notifier = Notifier()
    with notifier.subscribe("one") as news:
        notifier.notify("one")
        notifier.notify("one")
        assert await news.wait(20)
        assert not await news.wait(0)


async def test_every_reader_of_a_session_is_woken() -> None:
    notifier = Notifier()
    with notifier.subscribe("one") as first, notifier.subscribe("one") as second:
        notifier.notify("one")
        assert await first.wait(20)
        assert await second.wait(20)


async def test_silence_ends_the_wait() -> None:
    with Notifier().subscribe("one") as news:
        assert not await news.wait(0.01)


async def test_readers_that_left_are_forgotten() -> None:
    notifier = Notifier()
    with notifier.subscribe("one"), notifier.subscribe("one"):
        pass
    notifier.notify("one")
    assert not notifier._waiting  # what would grow for ever


async def test_a_wake_up_and_a_cancellation_at_once_cancel() -> None:
    """In either order, in one turn of the loop: a reader that is told to end must not read on."""
    notifier = Notifier()
    for wake_first in (True, False):
        with notifier.subscribe("one") as news:
            waiting = asyncio.create_task(news.wait(20))
            await asyncio.sleep(0)
            if wake_first:
                notifier.notify("one")
            waiting.cancel()
            notifier.notify("one")
            await asyncio.wait({waiting})
            assert waiting.cancelled()


async def test_the_end_of_the_time_and_a_cancellation_at_once_cancel() -> None:
    with Notifier().subscribe("one") as news:
        waiting = asyncio.create_task(news.wait(0))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
        assert waiting.cancelled()
