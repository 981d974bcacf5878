"""Step `settle`: the final state and its event; in the same transaction the place goes to the next run."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

from gitward.errors import RunFailure
from gitward.runs.checkpoints import RunCancelled
from gitward.runs.facts import WorkResult
from gitward.runs.services import JobServices
from gitward.sessions.model import PullRequest, RunState, StepName, StepState
from gitward.sessions.progress import Outcome
from gitward.store.database import Transaction
from gitward.workers.persistence import persist


def succeeded(result: WorkResult, proposed: PullRequest | None) -> Outcome:
    message = result.message if proposed is None else f"{result.message} Pull request: {proposed.url}"
    return replace(_known(result), state=RunState.SUCCEEDED, message=message, pull_request=proposed)


def failed(failure: RunFailure, result: WorkResult | None) -> Outcome:
    known = _known(result)
    if failure.exit_code is not None:
        known = replace(known, exit_code=failure.exit_code)
    if failure.head_sha is not None:
        known = replace(known, changed=True, head_sha=failure.head_sha)
    return replace(known, reason=failure.reason, message=failure.message)


def cancelled(end: RunCancelled, result: WorkResult | None) -> Outcome:
    """What was done by then is told: a cancel takes nothing back."""
    known, message = _known(result), "Cancelled."
    if end.pushed_sha is not None:
        known = replace(known, changed=True, head_sha=end.pushed_sha)
    if end.pushed_sha is not None or (result is not None and result.wants_pull_request):
        message += f" The branch was pushed already, and stays at {(known.head_sha or '')[:12]}."
    return replace(known, state=RunState.CANCELLED, message=message)


def _known(result: WorkResult | None) -> Outcome:
    """A failure, until it is known to be something else."""
    if result is None:
        return Outcome(state=RunState.FAILED, message="")
    return Outcome(
        state=RunState.FAILED,
        message="",
        changed=result.changed,
        head_sha=result.head_sha,
        exit_code=result.exit_code,
    )


async def settle(services: JobServices, run_id: str, outcome: Outcome) -> None:
    """Ends the run. Repeating it finds the run ended and changes nothing.

    While the database cannot be reached it is tried again, until the worker is stopped: a failure of this step would
    be its checkpointed result, and the run `running` for ever.
    """
    what = f"Run {run_id}: its end"
    await persist(services.database, partial(_settle, services, run_id, outcome), lease=services.lease, what=what)


def _settle(services: JobServices, run_id: str, outcome: Outcome, tx: Transaction) -> None:
    began = time.monotonic()
    hold = services.progress.take(tx, run_id)
    services.lease.require()  # else it would be taken from whoever has taken it over
    services.progress.start_step(tx, hold, StepName.SETTLE)
    services.progress.end_step(tx, hold, StepName.SETTLE, StepState.SUCCEEDED, time.monotonic() - began)
    services.progress.settle(tx, hold, outcome)
