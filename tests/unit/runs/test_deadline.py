"""What ends a piece of work that takes too long."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from gitward.errors import Reason, RunFailure
from gitward.runs.attempt import Attempt
from gitward.runs.commands.deadline import GRACE_SECONDS, within_deadline


async def for_ever() -> None:
    await asyncio.Event().wait()


async def test_work_that_is_late_fails_in_its_own_words() -> None:
    attempt = cast(Attempt, SimpleNamespace(cancel_requested=for_ever, ending=None))
    late = RunFailure(Reason.TIMED_OUT, "GitHub did not answer.")
    with pytest.raises(RunFailure) as failure:
        await within_deadline(attempt, for_ever(), seconds=0.01 - GRACE_SECONDS, late=late)
    assert failure.value is late
