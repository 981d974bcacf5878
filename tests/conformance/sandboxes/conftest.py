"""One suite for all engines; bubblewrap is the only one so far."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from .rig import Inside, Rig, reachable_folder


@pytest.fixture
def rig() -> Iterator[Rig]:
    with reachable_folder() as folder:
        yield Rig(folder)


@pytest.fixture
async def inside(rig: Rig) -> AsyncIterator[Inside]:
    """A sandbox with all its walls."""
    async with rig.sandbox() as inside:
        yield inside
