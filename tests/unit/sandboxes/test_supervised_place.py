"""Who waits for the place of another command in series."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from gitward.sandboxes.protocol import SandboxError
from gitward.sandboxes.supervised_place import SeriesPlaces


class Spare:
    """Gives none: the first try takes until `go`, and fails."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def take(self, *, last: bool) -> Any:
        await self.go.wait()
        raise SandboxError("no room")


@pytest.mark.parametrize("ends", ["fails", "is cancelled"])
async def test_a_place_that_could_not_be_had_leaves_nobody_waiting(ends: str) -> None:
    spare: Any = Spare()
    endpoint: Any = SimpleNamespace()
    places = SeriesPlaces(spare, endpoint)
    first = asyncio.create_task(places.take(last=False, is_patient=False))
    await asyncio.sleep(0)
    patient = asyncio.create_task(places.take(last=False, is_patient=True))
    await asyncio.sleep(0)
    if ends == "fails":
        spare.go.set()
    else:
        first.cancel()
        await asyncio.wait({first})
        spare.go.set()
    async with asyncio.timeout(30):
        results = await asyncio.gather(first, patient, return_exceptions=True)
    assert isinstance(results[1], SandboxError)
