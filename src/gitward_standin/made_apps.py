"""Apps that were made from a manifest, and wait for the exchange of their codes."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from gitward_standin.apps import App
from gitward_standin.clock import now

CODE_LIFETIME = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class MadeApp:
    """What one code is exchanged for, once."""

    app: App
    private_key: bytes  # PEM
    manifest: Mapping[str, Any]
    made_at: datetime = field(default_factory=now)
    client_secret: str = field(default_factory=lambda: secrets.token_hex(20))
    webhook_secret: str = field(default_factory=lambda: secrets.token_hex(20))


class MadeApps:
    def __init__(self) -> None:
        self._made: dict[str, MadeApp] = {}

    def add(self, made: MadeApp) -> str:
        """Its code."""
        code = secrets.token_hex(20)
        self._made[code] = made
        return code

    def take(self, code: str) -> MadeApp | None:
        """None: there is no such code, it was exchanged, or it is too old."""
        found = self._made.pop(code, None)
        return found if found is not None and found.made_at + CODE_LIFETIME > now() else None
