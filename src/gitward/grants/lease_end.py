"""Waits for the end of a lease, in programs that have an event loop."""

from __future__ import annotations

import asyncio

from gitward.grants.lease import Lease


async def over(lease: Lease) -> None:
    """Returns when it has run out."""
    while lease.held:  # noqa: ASYNC110 -- it may be renewed meanwhile, and a suspended machine skips time
        await asyncio.sleep(min(lease.left, 60.0) + 0.001)
