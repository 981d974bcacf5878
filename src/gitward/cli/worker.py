"""`gitward worker`: a worker alone, beside services and other workers on the same database."""

from __future__ import annotations

import asyncio

from gitward.cli.signals import Signals, drain
from gitward.cli.wiring import running_worker
from gitward.settings import Settings, TokenReader


async def _work(settings: Settings, tokens: TokenReader) -> None:
    async with running_worker(settings, tokens) as worker:
        signals = Signals()
        print("The worker is ready", flush=True)
        await signals.first.wait()
        await drain(worker, signals, seconds=settings.grace_seconds)


def run(settings: Settings, tokens: TokenReader) -> None:
    """Works until SIGTERM or SIGINT; then it takes no more runs, and gives the running ones GITWARD_GRACE_SECONDS."""
    asyncio.run(_work(settings, tokens))
