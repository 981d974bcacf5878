"""Output on its way to the log of events: nothing is lost by a cancellation or by a database that refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy.exc import OperationalError

from gitward.grants.lease import Lease, LeaseLost
from gitward.runs.attempt import Attempt
from gitward.runs.commands.log_entries import PIECE_CHARACTERS
from gitward.runs.commands.output import HEAD_BYTES, OutputLog
from gitward.sandboxes import Stream
from gitward.sessions.model import EventType, StepName
from gitward.telemetry.redaction import Redactor


class Listener:
    """As much of an attempt as the output needs: it takes what is told."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.services = SimpleNamespace(lease=Lease(), database=SimpleNamespace(is_low=False))
        self.refusals = 0
        self.refused = asyncio.Event()
        self.asked = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    async def record_now(self, *entries: tuple[EventType, Mapping[str, Any]]) -> None:
        self.asked.set()
        await self.open.wait()
        if self.refusals:
            self.refusals -= 1
            self.refused.set()
            raise OperationalError("INSERT", {}, Exception("database is locked"))
        self.texts += [data["text"] for _, data in entries]


def output_of(listener: Listener) -> OutputLog:
    return OutputLog(cast(Attempt, listener), Redactor())


async def test_a_cancellation_in_the_middle_of_a_write_loses_nothing() -> None:
    listener = Listener()
    output = output_of(listener)
    await output.add(StepName.EXECUTE, Stream.STDOUT, "first\n")
    listener.open.clear()
    writing = asyncio.create_task(output.flush())
    await listener.asked.wait()
    writing.cancel()
    listener.open.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await output.flush()
    assert listener.texts == ["first\n"]


async def test_output_goes_on_after_the_database_refused() -> None:
    listener = Listener()
    listener.refusals = 1
    async with output_of(listener).stream(StepName.EXECUTE) as sink:
        await sink(Stream.STDOUT, b"first\n")
        async with asyncio.timeout(10):
            await listener.refused.wait()
        await sink(Stream.STDOUT, b"second\n")
    assert "".join(listener.texts) == "first\nsecond\n"


async def test_what_the_database_refuses_is_not_waited_with_when_the_lease_is_over() -> None:
    """Else the worker could not end its runs, and so not begin again, while the database is away."""
    listener = Listener()
    listener.refusals = 1_000
    output = output_of(listener)
    await output.add(StepName.EXECUTE, Stream.STDOUT, "first\n")
    listener.services.lease.give_up()
    async with asyncio.timeout(10):
        with pytest.raises(LeaseLost):
            await output.finish()


async def test_the_tail_of_a_chatty_command_is_gathered_into_few_events() -> None:
    listener = Listener()
    output = output_of(listener)
    await output.add(StepName.EXECUTE, Stream.STDOUT, "x" * HEAD_BYTES)
    await output.flush()
    listener.texts.clear()
    for number in range(2000):
        await output.add(StepName.EXECUTE, Stream.STDOUT, f"{number % 10}\n")
    await output.finish()
    assert len("".join(listener.texts)) >= 4000
    assert len(listener.texts) <= 2 + 4000 // PIECE_CHARACTERS


class Reader(Listener):
    """It keeps types and data."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[EventType, Mapping[str, Any]]] = []

    async def record_now(self, *entries: tuple[EventType, Mapping[str, Any]]) -> None:
        self.told += entries


async def test_other_events_have_their_place_among_the_output() -> None:
    reader = Reader()
    output = output_of(reader)
    await output.add(StepName.EXECUTE, Stream.STDERR, "one\n")
    assert output.put(EventType.AGENT_MESSAGE, {"message": "m", "text": "two"})
    await output.add(StepName.EXECUTE, Stream.STDERR, "three\n")
    await output.flush()
    assert [data["text"] for _, data in reader.told] == ["one\n", "two", "three\n"]
    assert [kind for kind, _ in reader.told] == [EventType.OUTPUT, EventType.AGENT_MESSAGE, EventType.OUTPUT]


async def test_other_events_have_no_more_room_than_the_output_has() -> None:
    reader = Reader()
    output = output_of(reader)
    piece = {"message": "m", "text": "x" * 100_000}
    taken = 0
    while output.put(EventType.AGENT_MESSAGE, piece):
        taken += 1
        assert taken < 1_000
    assert HEAD_BYTES - 200_000 < taken * 100_000 < HEAD_BYTES
    assert output.put(EventType.AGENT_ENDED, {"text": "the last"}, anyway=True)
    await output.flush()
    assert reader.told[-1] == (EventType.AGENT_ENDED, {"text": "the last"})
