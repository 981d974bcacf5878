"""Putting the unfinished runs of workers that are gone back on the queue: the one place that does it.

DBOS has these functions for its own cloud and marks them private; the kill tests guard them against upgrades. Both
change a row only while it is the named executor's, so it does no harm when two workers do the same at once.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from dbos import DBOS
from dbos._dbos import _get_dbos_instance

from gitward.workers.queue import QUEUE

log = logging.getLogger(__name__)


def recover(executor_ids: Sequence[str]) -> None:
    """Every unfinished run of these executors goes back on the queue. Blocks."""
    recovered = len(DBOS._recover_pending_workflows(list(executor_ids)))
    if recovered:
        log.warning("%d run(s) are back on the queue", recovered)


def give_back(run_id: str, executor_id: str) -> None:
    """One run that this executor was given and does not want goes back on the queue. Blocks."""
    _get_dbos_instance()._sys_db.reenqueue_for_recovery(run_id, [executor_id], QUEUE)


def executors_with_runs() -> list[str]:
    """Of every unfinished run that is not on the queue: who has it. Blocks."""
    pending = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
    return sorted({workflow.executor_id for workflow in pending if workflow.executor_id})
