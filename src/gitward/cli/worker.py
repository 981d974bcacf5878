"""`gitward worker`: a worker alone, beside services and other workers on the same database."""

from __future__ import annotations

import asyncio
import contextlib

from gitward.cli.child_processes import mask_proxy_login, running_child_processes
from gitward.cli.client_secret import forget_client_secret
from gitward.cli.concurrent_entry import enter_both
from gitward.cli.descriptor_limit import raise_limit
from gitward.cli.preloading import loaded
from gitward.cli.safe_start import prepare_start
from gitward.cli.signals import Signals, drain
from gitward.cli.start_garbage import resume_collection
from gitward.settings.fields import Settings
from gitward.settings.token_reader import TokenReader


async def _work(settings: Settings, tokens: TokenReader) -> None:
    raise_limit()
    prepare_start(settings, with_worker=True)
    mask_proxy_login(settings)
    forget_client_secret()
    async with contextlib.AsyncExitStack() as stack:
        hands, _ = await enter_both(stack, running_child_processes(settings), loaded("gitward.cli.wiring"))
        from gitward.cli.wiring import running_worker

        worker = await stack.enter_async_context(running_worker(settings, tokens, hands))
        signals = Signals()
        resume_collection()
        print("The worker is ready", flush=True)
        await signals.first.wait()
        await drain(worker, signals, seconds=settings.grace_seconds)


def run(settings: Settings, tokens: TokenReader) -> None:
    """Works until SIGTERM or SIGINT; then it takes no more runs, and gives the running ones GITWARD_GRACE_SECONDS."""
    asyncio.run(_work(settings, tokens))
