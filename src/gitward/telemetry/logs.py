"""Set-up of the process's log: one line per record (and its traceback) on standard error, with secrets masked."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable

from gitward.secrets import Secret
from gitward.telemetry.redaction import RedactingFilter

_filter = RedactingFilter()
_known: dict[str, tuple[Secret, ...]] = {}  # by their owner
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class LineFormatter(logging.Formatter):
    """What a record tells stays on its line: a path or a name with a line break cannot forge a record."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- the base class's name
        return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], super().formatMessage(record))


def setup_logging(*, level: str = "INFO", secrets: Iterable[Secret] = ()) -> None:
    """Sends all logging to standard error through the redaction filter."""
    mask_secrets(secrets)
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_filter)
    handler.setFormatter(LineFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in ("httpx2", "httpcore2", "alembic", "asyncio"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLevelName(level)))


def mask_secrets(secrets: Iterable[Secret], *, of: str = "") -> None:
    """Replaces the secrets whose exact value the log masks (a rotated token, for example): those of one owner."""
    _known[of] = tuple(secrets)
    _filter.know([secret for group in _known.values() for secret in group])
