"""What stands in the environment of this process. No other module reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def default_data_dir() -> Path:
    """Where the service keeps its data when nothing says otherwise."""
    if os.geteuid() == 0:
        return Path("/var/lib/gitward")
    base = os.environ.get("XDG_DATA_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".local" / "share") / "gitward"


def variables() -> Mapping[str, str]:
    """All of them, as they are now."""
    return os.environ


def take(name: str) -> str:
    """The value, which no child of this process inherits any more; empty when there is none."""
    return os.environ.pop(name, "").strip()


def exported_token() -> str | None:
    """GITHUB_TOKEN as it is exported, unsealed: for the demo alone, which plays GitHub and must know it."""
    return os.environ.get("GITHUB_TOKEN", "").strip() or None


def clean_environment(**extra: str) -> dict[str, str]:
    """What a child process of ours may inherit: the search path and the locale, never a credential."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ", "HOME") if name in os.environ}
    return {**kept, **extra}
