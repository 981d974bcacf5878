"""Bounds a piece of work: by a time limit, and by its owner's wish to end it.

Time is taken from a clock that nobody can set: a jump of the machine's date ends nothing early and keeps nothing open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from gitward.errors import Reason, RunFailure
from gitward.runs.attempt import Attempt
from gitward.runs.checkpoints import RunCancelled
from gitward.sessions.model import StepName, StepState

T = TypeVar("T")

GRACE_SECONDS = 5.0  # beyond the commands' own limits, which come first and tell more

# What one step may take, within the run's own limit; `execute` may take all that is left of that.
# Preflight and pull_request lie outside of the run's limit; they may also wait for a GitHub that is away or has limits
# (`asking.patience_of`).
STEP_SECONDS = {
    StepName.PREFLIGHT: 60.0,
    StepName.AUTHENTICATE: 240.0,
    StepName.CHECKOUT: 1800.0,
    StepName.PUBLISH: 900.0,
    StepName.PULL_REQUEST: 60.0,
}


def timed_out(seconds: float, step: StepName | None = None) -> RunFailure:
    what = "The run" if step is None else f"The step {step}"
    return RunFailure(Reason.TIMED_OUT, f"{what} took longer than its time limit of {seconds:g} s.")


async def within_deadline(attempt: Attempt, work: Coroutine[Any, Any, T], *, seconds: float, late: RunFailure) -> T:
    """The result of `work`, which is ended and awaited when anything else comes first.

    :raises RunFailure: `late`, when the time is over.
    :raises RunCancelled: the owner asked for the end.
    :raises AttemptLost: another worker has the run.
    """
    main = asyncio.create_task(work)
    watch = asyncio.create_task(attempt.cancel_requested())
    try:
        await asyncio.wait({main, watch}, timeout=seconds + GRACE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if main.done():
            return main.result()
        attempt.ending = StepState.CANCELLED if watch.done() else StepState.FAILED
        if watch.done():
            watch.result()
            raise RunCancelled
        raise late
    finally:
        for task in (main, watch):
            task.cancel()
        await asyncio.gather(main, watch, return_exceptions=True)
