"""Step `settle`: the final state and its event; in the same transaction the place goes to the next run."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from gitward.errors import Reason, RunFailure
from gitward.runs.checkpoints import RunCancelled
from gitward.runs.services import JobServices
from gitward.sessions.model import PullRequest, RunState, StepName, StepState
from gitward.sessions.progress import Outcome
from gitward.store.database import Transaction
from gitward.workers.persistence import persist

Json = dict[str, Any]


def succeeded(result: Json, proposed: Json | None) -> Json:
    message = result["message"] if proposed is None else f"{result['message']} Pull request: {proposed['url']}"
    return {**_known(result, proposed), "state": RunState.SUCCEEDED, "reason": None, "message": message}


def failed(failure: RunFailure, result: Json | None) -> Json:
    known = _known(result, None)
    if failure.exit_code is not None:
        known["exit_code"] = failure.exit_code
    if failure.head_sha is not None:
        known |= {"changed": True, "head_sha": failure.head_sha}
    return {**known, "state": RunState.FAILED, "reason": failure.reason, "message": failure.message}


def cancelled(end: RunCancelled, result: Json | None) -> Json:
    """What was done by then is told: a cancel takes nothing back."""
    known, message = _known(result, None), "Cancelled by its owner."
    if end.pushed_sha is not None:
        known |= {"changed": True, "head_sha": end.pushed_sha}
    if end.pushed_sha is not None or (result is not None and result["wants_pull_request"]):
        message += f" The branch was pushed already, and stays at {known['head_sha'][:12]}."
    return {**known, "state": RunState.CANCELLED, "reason": None, "message": message}


def _known(result: Json | None, proposed: Json | None) -> Json:
    result = result or {}
    return {name: result.get(name) for name in ("changed", "head_sha", "exit_code")} | {"pull_request": proposed}


async def settle(parts: JobServices, run_id: str, outcome: Json) -> Json:
    """Ends the run. Repeating it finds the run ended and changes nothing.

    While the database cannot be reached it is tried again, until the worker is stopped: a failure of this step would
    be its checkpointed result, and the run `running` for ever.
    """
    what = f"Run {run_id}: its end"
    await persist(parts.database, partial(_settle, parts, run_id, outcome), lease=parts.lease, what=what)
    return {}


def _settle(parts: JobServices, run_id: str, outcome: Json, tx: Transaction) -> None:
    began = time.monotonic()
    claim = parts.progress.claim(tx, run_id)
    parts.lease.require()  # else it would be taken from whoever has taken it over
    parts.progress.start_step(tx, claim, StepName.SETTLE)
    pull_request = outcome["pull_request"]
    final = Outcome(
        state=RunState(outcome["state"]),
        reason=Reason(outcome["reason"]) if outcome["reason"] else None,
        message=outcome["message"],
        changed=outcome["changed"],
        head_sha=outcome["head_sha"],
        exit_code=outcome["exit_code"],
        pull_request=PullRequest(**pull_request) if pull_request else None,
    )
    parts.progress.end_step(tx, claim, StepName.SETTLE, StepState.SUCCEEDED, time.monotonic() - began)
    parts.progress.settle(tx, claim, final)
