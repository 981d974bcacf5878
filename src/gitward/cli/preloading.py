"""Loads a part of the program in a thread, while the process waits for something else."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
from collections.abc import AsyncIterator


@contextlib.asynccontextmanager
async def loaded(module: str) -> AsyncIterator[None]:
    """After it was entered, an import of the module takes no time.

    Nothing that a module makes while it is loaded is garbage: to look for some takes a tenth of the start.
    """
    gc.disable()
    try:
        await asyncio.to_thread(importlib.import_module, module)
    finally:
        gc.freeze()
        gc.enable()
    yield
