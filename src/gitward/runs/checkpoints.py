"""A checkpointed step returns its result, its failure or its cancellation as a value.

What a step returns is kept beside the run. An exception's text may quote anything; a value of ours is known to hold
no secret and means the same after a takeover.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from gitward.errors import GitwardError, Reason, RunFailure
from gitward.grants.lease import LeaseLost
from gitward.runs.services import JobServices
from gitward.sandboxes import SandboxError
from gitward.sessions.progress import AttemptLost
from gitward.workers.worker import checkpoint

log = logging.getLogger(__name__)

Step = Callable[..., Coroutine[Any, Any, dict[str, Any]]]


class RunCancelled(GitwardError):
    """The owner asked for the run to end."""

    def __init__(self, *, pushed_sha: str | None = None) -> None:
        super().__init__("the run was cancelled")
        self.pushed_sha = pushed_sha  # where the branch stands upstream, when the push was done all the same


async def step(
    name: str, function: Step, parts: JobServices, run_id: str, *arguments: dict[str, Any]
) -> dict[str, Any]:
    """Runs `function(parts, run_id, *arguments)` once, across restarts, and returns its JSON value.

    :raises RunFailure: also for an unexpected error, which is logged in full and told as `internal`.
    :raises RunCancelled: the owner asked for the end.
    :raises AttemptLost: another worker has the run.
    :raises CancelledError: the worker's lease is over; nothing is stored, and whoever has the run next does it again.
    """

    async def attempt(*values: dict[str, Any]) -> dict[str, Any]:
        value = await outcome(*values)
        if not parts.lease.held:  # whatever happened, it may be because everything was stopped: it decides nothing
            raise asyncio.CancelledError
        return value

    async def outcome(*values: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"result": await function(parts, run_id, *values)}
        except RunFailure as failure:
            return _failure(failure)
        except SandboxError as error:
            return _failure(RunFailure(Reason.SANDBOX_FAILED, str(error)))
        except RunCancelled as cancelled:
            return {"cancelled": {"pushed_sha": cancelled.pushed_sha}}
        except AttemptLost as lost:
            return {"lost": str(lost)}
        except LeaseLost as lost:
            raise asyncio.CancelledError from lost
        except Exception:  # the edge of the job: logged in full, told in one sentence
            log.exception("Step %s of run %s failed unexpectedly", name, run_id)
            message = f"Gitward failed in step {name}; its log has the details."
            return _failure(RunFailure(Reason.INTERNAL, message))

    value = await checkpoint(name, attempt, *arguments)
    if "failure" in value:
        known = value["failure"]
        reason, message = Reason(known["reason"]), known["message"]
        raise RunFailure(reason, message, exit_code=known["exit_code"], head_sha=known["head_sha"])
    if "cancelled" in value:
        raise RunCancelled(pushed_sha=value["cancelled"]["pushed_sha"])
    if "lost" in value:
        raise AttemptLost(value["lost"])
    result: dict[str, Any] = value["result"]
    return result


def _failure(failure: RunFailure) -> dict[str, Any]:
    names = ("reason", "message", "exit_code", "head_sha")
    return {"failure": {name: getattr(failure, name) for name in names}}
