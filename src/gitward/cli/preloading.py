"""Loads a part of the program in a thread, while the process waits for something else."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections.abc import AsyncIterator


@contextlib.asynccontextmanager
async def loaded(module: str) -> AsyncIterator[None]:
    """After it was entered, an import of the module takes no time."""
    await asyncio.to_thread(importlib.import_module, module)
    yield
