"""Set-up of the process's log: one line per record on standard error, with secrets masked."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable

from gitward.secrets import Secret
from gitward.telemetry.redaction import RedactingFilter

_filter = RedactingFilter()


def setup_logging(*, level: str = "INFO", secrets: Iterable[Secret] = ()) -> None:
    """Sends all logging to standard error through the redaction filter."""
    know_secrets(secrets)
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_filter)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in ("httpx", "httpcore", "dbos", "alembic", "aiosqlite", "asyncio"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLevelName(level)))


def know_secrets(secrets: Iterable[Secret]) -> None:
    """Replaces the secrets whose exact value the log masks (a rotated token, for example)."""
    _filter.know(secrets)
