"""What a process shows of itself, also one without an API."""

from __future__ import annotations

import asyncio
import os
import signal
import socket

import httpx2
import pytest
import sqlalchemy as sa

from gitward.broker import BrokerConfig, Brokers
from gitward.cli.health import ServiceHealth
from gitward.cli.metrics_listener import metrics_listener
from gitward.errors import SettingsError
from gitward.sandboxes.engine import BubblewrapEngine
from tests_support import Backend


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def watch_of(backend: Backend) -> ServiceHealth:
    return ServiceHealth(metrics=backend.metrics, database=backend.database, limits=backend.places.limits)


async def get(port: int, path: str) -> httpx2.Response:
    async with httpx2.AsyncClient(trust_env=False) as client:
        return await client.get(f"http://127.0.0.1:{port}{path}")


async def test_a_process_without_an_api_shows_its_metrics_and_whether_it_can_work(backend: Backend) -> None:
    """The database's figures come from the API alone, so that they are there once."""
    watch, port = watch_of(backend), free_port()
    async with metrics_listener(watch, port, with_figures=False):
        metrics = await get(port, "/metrics")
        assert metrics.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert "gitward_ready 1.0" in metrics.text
        assert "gitward_places" not in metrics.text
        assert (await get(port, "/health")).json() == {"status": "ok"}
        assert (await get(port, "/ready")).json()["ready"] is True
        watch.stopping = asyncio.Event()
        watch.stopping.set()
        ready = await get(port, "/ready")
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    assert [check["name"] for check in ready.json()["checks"] if not check["ok"]] == ["service"]


@pytest.mark.parametrize("table", ["tickets", "events"])
async def test_a_database_that_answers_and_whose_tables_cannot_be_read_is_not_ready(
    backend: Backend, table: str
) -> None:
    """It may be damaged, or another one."""
    watch = watch_of(backend)
    assert all(check.ok for check in await watch.checks())
    with backend.database.transaction() as tx:
        tx.execute(sa.text(f"ALTER TABLE {table} RENAME TO gone"))
    await backend.database.ping()
    assert [check.name for check in await watch.checks() if not check.ok] == ["database"]


@pytest.mark.slow  # the engine's launcher counts as hung after ten seconds
async def test_a_launcher_that_hangs_is_not_ready_until_it_is_replaced(backend: Backend) -> None:
    watch = watch_of(backend)
    watch.sandboxes = engine = BubblewrapEngine(slots=1)
    await engine.start()
    try:
        assert all(check.ok for check in await watch.checks())
        hung = engine.pid
        assert hung is not None
        os.kill(hung, signal.SIGSTOP)
        async with asyncio.timeout(60):
            while [check.name for check in await watch.checks() if not check.ok] != ["sandboxes"]:
                await asyncio.sleep(0.05)
            while not all(check.ok for check in await watch.checks()):
                await asyncio.sleep(0.05)
        assert engine.pid != hung
    finally:
        await engine.stop()


async def test_a_broker_that_is_gone_is_not_ready(backend: Backend) -> None:
    watch = watch_of(backend)
    url, api = "https://github.com", "https://api.github.com"
    watch.brokers = Brokers(
        BrokerConfig(server_url=url, api_url=api, upstream_url=url, upstream_api_url=api, login_mode=False)
    )
    assert [check.name for check in await watch.checks() if not check.ok] == ["broker"]
    assert b"gitward_ready 0.0" in await watch.render(with_figures=False)
    await watch.brokers.start()
    try:
        assert all(check.ok for check in await watch.checks())
        assert b"gitward_broker_restarts 0.0" in await watch.render(with_figures=False)
    finally:
        await watch.brokers.stop()


async def test_a_port_that_is_taken_is_told(backend: Backend) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"GITWARD_METRICS_PORT: cannot listen on port {port}"):
            async with metrics_listener(watch_of(backend), port, with_figures=False):
                pass
