"""Step `settle`: the final state, its event, and the session's next run, in one transaction."""

from __future__ import annotations

import asyncio
import itertools
import logging
from typing import Any

from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection

from gitward.errors import Reason, RunFailure
from gitward.jobs.parts import Parts
from gitward.sessions.model import PullRequest, RunState, StepName, StepState, now
from gitward.sessions.progress import Outcome

log = logging.getLogger(__name__)

Json = dict[str, Any]

_PAUSES = (0.1, 0.5, 2.0, 5.0)  # seconds before each new try; then the last again


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


def cancelled(result: Json | None) -> Json:
    return {**_known(result, None), "state": RunState.CANCELLED, "reason": None, "message": "Cancelled by its owner."}


def _known(result: Json | None, proposed: Json | None) -> Json:
    result = result or {}
    return {name: result.get(name) for name in ("changed", "head_sha", "exit_code")} | {"pull_request": proposed}


async def settle(parts: Parts, run_id: str, outcome: Json) -> Json:
    """Ends the run. Repeating it finds the run ended and changes nothing.

    While the database cannot be reached it is tried again, until the worker is stopped: a failure of this step would
    be its checkpointed result, and the run `running` for ever.
    """
    for pause in itertools.chain(_PAUSES, itertools.repeat(_PAUSES[-1])):
        try:
            await _settle(parts, run_id, outcome)
        except (OperationalError, NoConnection, OSError) as error:
            log.warning("Run %s cannot be settled yet (%s); next try in %g s", run_id, type(error).__name__, pause)
            await asyncio.sleep(pause)
        else:
            break
    return {}


async def _settle(parts: Parts, run_id: str, outcome: Json) -> None:
    async with parts.database.transaction() as tx:
        claim = await parts.progress.claim(tx, run_id)
        began = await parts.progress.start_step(tx, claim, StepName.SETTLE)
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
        await parts.progress.end_step(tx, claim, StepName.SETTLE, StepState.SUCCEEDED, (now() - began).total_seconds())
        await parts.progress.settle(tx, claim, final)
