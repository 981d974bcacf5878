"""Sandboxes: commands run apart from the host, with the broker as their only neighbour.

The embedded engine is `gitward.sandboxes.engine.BubblewrapEngine`. This file stays light: the launcher
imports it before it can fork for the first command.
"""

from gitward.sandboxes.protocol import (
    HOME_DIR,
    WORK_DIR,
    Command,
    Completed,
    Guard,
    Limits,
    OnOutput,
    Sandbox,
    SandboxEngine,
    SandboxError,
    Shown,
    Stream,
    User,
)

__all__ = [
    "HOME_DIR",
    "WORK_DIR",
    "Command",
    "Completed",
    "Guard",
    "Limits",
    "OnOutput",
    "Sandbox",
    "SandboxEngine",
    "SandboxError",
    "Shown",
    "Stream",
    "User",
]
