"""The metrics of a process on loopback, if it has a port for them; only then a second web server is loaded."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from gitward.cli.health import ServiceHealth


@contextlib.asynccontextmanager
async def metrics_listener(health: ServiceHealth, port: int, *, with_figures: bool) -> AsyncIterator[None]:
    """Metrics, `/health` and `/ready` on loopback, where no proxy leads; nothing when `port` is 0.

    :param with_figures: whether the database's are among the metrics.
    :raises SettingsError: the port cannot be used.
    """
    if not port:
        yield
        return
    from gitward.cli.metrics_port import listening

    async with listening(health, port, with_figures=with_figures):
        yield
