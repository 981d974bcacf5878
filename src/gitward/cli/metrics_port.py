"""The port on loopback for metrics and readiness. A module of its own: most processes need no second web server."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from functools import partial

from aiohttp import web

from gitward.cli.health import ServiceHealth
from gitward.errors import SettingsError
from gitward.telemetry.metrics import CONTENT_TYPE


@contextlib.asynccontextmanager
async def listening(watch: ServiceHealth, port: int, *, with_figures: bool) -> AsyncIterator[None]:
    """Answers `/metrics`, `/health` and `/ready`.

    :raises SettingsError: the port cannot be used.
    """
    app = web.Application()
    app.router.add_get("/metrics", partial(_metrics, watch, with_figures))
    app.router.add_get("/health", _health)
    app.router.add_get("/ready", partial(_ready, watch))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await _listen(runner, port)
        yield
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, port: int) -> None:
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    except OSError as error:
        why = f"cannot listen on port {port}: {os.strerror(error.errno or 0)}"
        raise SettingsError([f"GITWARD_METRICS_PORT: {why}"]) from None


async def _metrics(watch: ServiceHealth, with_figures: bool, _request: web.Request) -> web.Response:
    return web.Response(body=await watch.render(with_figures=with_figures), headers={"Content-Type": CONTENT_TYPE})


async def _ready(watch: ServiceHealth, _request: web.Request) -> web.Response:
    checks = [{"name": each.name, "ok": each.ok, "detail": each.detail} for each in await watch.checks()]
    ready = all(each["ok"] for each in checks)
    return web.json_response({"ready": ready, "checks": checks}, status=200 if ready else 503)


async def _health(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})
