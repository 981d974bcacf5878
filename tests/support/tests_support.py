"""Types that fixtures hand to tests."""

from __future__ import annotations

from dataclasses import dataclass

from gitward.engine.queue import DbosQueue
from gitward.sessions.journal import Journal
from gitward.sessions.service import SessionService
from gitward.store.database import Database
from gitward.store.notify import Notifier


@dataclass(frozen=True, kw_only=True)
class Backend:
    """The service below HTTP."""

    database: Database
    notifier: Notifier
    journal: Journal
    queue: DbosQueue
    sessions: SessionService
