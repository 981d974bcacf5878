"""`gitward audit-log export`: who did what, as JSON lines."""

from __future__ import annotations

import asyncio
import sys

from gitward.api.audit_log import lines
from gitward.sessions.audit_log import AuditFilter
from gitward.settings.fields import Settings
from gitward.store.database import Database


async def _export(settings: Settings) -> None:
    database = Database(settings.effective_database_url)
    try:
        async for text in lines(database, AuditFilter()):
            sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()
    finally:
        await database.stop()


def export(settings: Settings) -> None:
    """Writes all of the log to standard output; the service may be running."""
    asyncio.run(_export(settings))
