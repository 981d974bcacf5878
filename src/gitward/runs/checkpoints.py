"""A checkpoint of the job: what it comes to (a result, a failure or a cancellation) is a value stored beside the run.

An exception's text may quote anything; a value of ours is known to hold no secret and means the same after a takeover.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from gitward.broker import BrokerError
from gitward.errors import GitwardError, Reason, RunFailure
from gitward.grants.lease import LeaseLost
from gitward.runs.services import JobServices
from gitward.sandboxes import SandboxError
from gitward.sessions.progress import AttemptLost
from gitward.workers.checkpoints import checkpoint

log = logging.getLogger(__name__)

T = TypeVar("T")
P = ParamSpec("P")

Stored = Mapping[str, Any]  # JSON, as it stands in the run's row


class RunCancelled(GitwardError):
    """The owner asked for the run to end."""

    def __init__(self, *, pushed_sha: str | None = None) -> None:
        super().__init__("the run was cancelled")
        self.pushed_sha = pushed_sha  # where the branch stands upstream, when the push was done all the same


@dataclass(frozen=True, kw_only=True)
class Checkpoint(Generic[T]):
    """One of the four, and how its result is stored; `gitward.runs.facts` has them."""

    name: str
    encode: Callable[[T], Stored]
    decode: Callable[[Stored], T]  # also what an older worker stored

    async def once(
        self,
        services: JobServices,
        run_id: str,
        function: Callable[Concatenate[JobServices, str, P], Awaitable[T]],
        *arguments: P.args,
        **named: P.kwargs,
    ) -> T:
        """What `function(services, run_id, …)` comes to, which is done once across restarts.

        :raises RunFailure: also for an unexpected error, which is logged in full and told as `internal`.
        :raises RunCancelled: the owner asked for the end.
        :raises AttemptLost: another worker has the run.
        :raises CancelledError: the worker's lease is over; nothing is stored, and whoever has the run next does it
            again.
        """

        async def attempt() -> Stored:
            ended = await self._ended(run_id, function(services, run_id, *arguments, **named))
            if not services.lease.held:  # whatever happened, it may be because everything was stopped
                raise asyncio.CancelledError
            return ended

        return self._result(await checkpoint(self.name, attempt))

    async def _ended(self, run_id: str, result: Awaitable[T]) -> Stored:
        try:
            return {"result": self.encode(await result)}
        except RunFailure as failure:
            return _failure(failure)
        except (SandboxError, BrokerError) as error:
            return _failure(RunFailure(Reason.SANDBOX_FAILED, str(error)))
        except RunCancelled as cancelled:
            return {"cancelled": {"pushed_sha": cancelled.pushed_sha}}
        except AttemptLost as lost:
            return {"lost": str(lost)}
        except LeaseLost as lost:
            raise asyncio.CancelledError from lost
        except Exception:  # the edge of the job: logged in full, told in one sentence
            log.exception("Step %s of run %s failed unexpectedly", self.name, run_id)
            return _failure(unexpected_failure(self.name))

    def _result(self, ended: Stored) -> T:
        if "failure" in ended:
            known = ended["failure"]
            reason, message = Reason(known["reason"]), known["message"]
            raise RunFailure(reason, message, exit_code=known["exit_code"], head_sha=known["head_sha"])
        if "cancelled" in ended:
            raise RunCancelled(pushed_sha=ended["cancelled"]["pushed_sha"])
        if "lost" in ended:
            raise AttemptLost(ended["lost"])
        return self.decode(ended["result"])


def unexpected_failure(step: str) -> RunFailure:
    """Of an exception that nobody expected, and that is in the log."""
    return RunFailure(Reason.INTERNAL, f"Gitward failed in step {step}; its log has the details.")


def _failure(failure: RunFailure) -> Stored:
    names = ("reason", "message", "exit_code", "head_sha")
    return {"failure": {name: getattr(failure, name) for name in names}}
