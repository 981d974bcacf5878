"""A worker's requests to the queue. Its SQL is passed in, because this layer does not know sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gitward.store.database import Transaction

GENERATION = 1  # of this way of queueing; see `store.schema.workers`
WAKE = "runs"  # the name under which `store.notify` tells that a run may wait for a worker


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A run that a worker has, until it has ended or another worker has it."""

    run_id: str
    attempt: int  # fences what this hold writes
    checkpoints: Mapping[str, Any] = field(default_factory=dict)  # results of those that are done, by their names


class Queue(Protocol):
    """Runs that have a place, and who has them. Everything happens in the caller's transaction."""

    def has_work(self, tx: Transaction) -> bool:
        """Whether `take` may find a run; cheap, and in a snapshot too."""
        ...

    def take(self, tx: Transaction, worker: str) -> Taken | None:
        """The next run that has a place and no living worker is this worker's from now on; None: there is none."""
        ...

    def store(self, tx: Transaction, worker: str, taken: Taken, checkpoints: Mapping[str, Any]) -> bool:
        """Stores what the checkpoints returned; False when the run has ended, so that nobody will ask for it.

        :raises Exception: another worker has the run.
        """
        ...

    def held(self, tx: Transaction, worker: str) -> Sequence[str]:
        """The runs that are in progress under this worker, as the rows tell."""
        ...

    def abandon(self, tx: Transaction, worker: str, run_id: str) -> bool:
        """Ends a run that this worker has and forgot, with reason `internal`; False when it has it no more."""
        ...

    def release(self, tx: Transaction, worker: str) -> None:
        """An orderly stop: others may take what this worker has at once, and nobody counts it as a loss."""
        ...

    def join_alone(self, tx: Transaction, worker: str) -> None:
        """Where a lock of the kernel tells who lives: this worker, and nobody else."""
        ...

    def leave(self, tx: Transaction, worker: str) -> None:
        """This worker lives no more."""
        ...
