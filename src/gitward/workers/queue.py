"""Putting a job on the durable queue in the caller's own transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from dbos import DBOSClient, EnqueueOptions

from gitward.store.database import Database, Transaction
from gitward.workers.serialization import JsonSerializer

APPLICATION = "gitward"
APPLICATION_VERSION = "1"  # raised when the steps of the job change in a way that a running one cannot follow
QUEUE = "runs"
JOB = "run_session"


class Queue(Protocol):
    """Where runs that have a place wait for a worker."""

    async def enqueue(self, tx: Transaction, run_id: str) -> None:
        """Puts the run on the queue when `tx` commits; a run that is there already is left alone."""
        ...


class DbosQueue:
    """DBOS's queue, in the same database as our tables."""

    def __init__(self, database: Database) -> None:
        self._client = DBOSClient(
            system_database_url=database.sync_url,
            serializer=JsonSerializer(),
            application_name=APPLICATION,
            system_database_pool_size=1,
            lazy=True,
        )

    async def enqueue(self, tx: Transaction, run_id: str) -> None:
        options: EnqueueOptions = {
            "workflow_name": JOB,
            "queue_name": QUEUE,
            "workflow_id": run_id,
            "app_version": APPLICATION_VERSION,
        }
        await tx.run_sync(lambda connection: self._client.enqueue_in_transaction(connection, options, run_id))

    def remove_ended(self, before: datetime, at_most: int) -> int:
        """Removes what the engine keeps of jobs that ended before; says how many. Blocks."""
        ended = self._client.list_workflows(
            name=JOB, completed_before=before.isoformat(), limit=at_most, load_input=False, load_output=False
        )
        if ended:
            self._client.delete_workflows([each.workflow_id for each in ended])
        return len(ended)

    def ended_among(self, run_ids: Sequence[str], before: datetime) -> list[str]:
        """Those whose job ended before, however it ended. Blocks."""
        ended = self._client.list_workflows(
            workflow_ids=list(run_ids), completed_before=before.isoformat(), load_input=False, load_output=False
        )
        return [each.workflow_id for each in ended]

    def close(self) -> None:
        self._client.destroy()
