"""What open pages are told: everything once, in order, made once for all of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api import make_api
from gitward.sessions.model import Owner, RunState
from gitward.web.conversation import Item
from gitward.web.live import boards as boards_module
from gitward.web.live.boards import Boards, Reader
from gitward.web.live.messages import MOST_CHARACTERS
from page_stage import add_session, end, output, said, tell
from tests_support import Backend

ALICE = Owner(issuer="gitward", subject="alice")


class Counting:
    """Renders almost nothing, and counts."""

    def __init__(self, backend: Backend) -> None:
        made = make_api(backend)
        self.items = self.heads = 0
        self.boards = Boards(
            database=backend.database,
            sessions=backend.sessions,
            feeds=made.services.feeds,
            render_head=self._head,
            render_item=self._item,
        )

    def _head(self, view: boards_module.View, _: object) -> list[str]:
        self.heads += 1
        return [f'<div id="head">{view.run.state}</div>']

    def _item(self, item: Item, _: str) -> str:
        self.items += 1
        return f'<p id="{item.id}">{item.text}</p>'


@asynccontextmanager
async def watched(counting: Counting, ids: tuple[str, str], after: int = 0) -> AsyncIterator[Reader]:
    async with counting.boards.watch(ALICE, *ids, after) as reader:
        yield reader


async def read_until(reader: Reader, word: str) -> str:
    told = ""
    async with asyncio.timeout(60):
        while word not in told:
            told += (await reader.next(1.0)).decode()
    return told


def texts(told: str) -> list[str]:
    found = [json.loads(line[6:]) for line in told.split("\n") if line.startswith('data: {"skipped"')]
    return [piece[3] for each in found for piece in each["pieces"]]


async def test_pages_are_told_everything_once_and_it_is_made_once(backend: Backend) -> None:
    ids = add_session(backend.database, ALICE, title="t", state=RunState.RUNNING, running="execute")
    counting = Counting(backend)
    async with watched(counting, ids) as first, watched(counting, ids) as second:
        tell(backend.database, *ids, [said("m", "one "), output("a\n"), said("m", "two"), output("b\n")])
        end(backend.database, *ids, RunState.SUCCEEDED)
        told = [await read_until(each, "event: end") for each in (first, second)]
    assert told[0] == told[1]
    assert texts(told[0]) == ["a\n", "b\n"]
    assert "one two" in told[0]
    assert "succeeded" in told[0]
    assert told[0].isascii()
    assert counting.items <= 2


async def test_a_page_that_comes_back_goes_on_where_it_was(backend: Backend) -> None:
    ids = add_session(backend.database, ALICE, title="t", state=RunState.RUNNING, running="execute")
    tell(backend.database, *ids, [output(f"{number}\n") for number in range(5)])
    counting = Counting(backend)
    async with watched(counting, ids, 3) as reader:
        assert texts(await read_until(reader, "id: 5")) == ["3\n", "4\n"]


async def test_a_page_that_missed_something_fetches_itself_anew(backend: Backend) -> None:
    ids = add_session(backend.database, ALICE, title="t", state=RunState.RUNNING, running="execute")
    tell(backend.database, *ids, [output("x\n") for _ in range(5)])
    counting = Counting(backend)
    async with watched(counting, ids, 5), watched(counting, ids, 2) as late:
        assert "event: stale" in await read_until(late, "event: ")


async def test_very_much_output_is_cut_to_its_end(backend: Backend) -> None:
    ids = add_session(backend.database, ALICE, title="t", state=RunState.RUNNING, running="execute")
    counting = Counting(backend)
    async with watched(counting, ids) as reader:
        await asyncio.sleep(0)
        piece = "y" * 16_000 + "\n"
        tell(backend.database, *ids, [output(piece) for _ in range(300)] + [output("last\n")])
        told = await read_until(reader, "last")
    assert all(sum(map(len, texts(each))) <= MOST_CHARACTERS + 17_000 for each in told.split("event: at"))


async def test_many_updates_of_an_agent_are_few_frames(backend: Backend) -> None:
    ids = add_session(backend.database, ALICE, title="t", state=RunState.RUNNING, running="execute")
    counting = Counting(backend)
    async with watched(counting, ids) as reader:
        for start in range(0, 10_000, 2_500):
            tell(backend.database, *ids, [said("m", f"{start + number} ") for number in range(2_500)])
        told = await read_until(reader, "9999")
    assert told.count("event: items") <= 40
    assert counting.items <= 40


async def test_a_run_that_ended_before_its_page_came_ends_the_stream(backend: Backend) -> None:
    ids = add_session(backend.database, ALICE, title="t", state=RunState.SUCCEEDED)
    counting = Counting(backend)
    async with watched(counting, ids) as reader:
        assert "succeeded" in await read_until(reader, "event: end")
