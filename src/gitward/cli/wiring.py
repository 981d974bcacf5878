"""Assembles the service: its parts, the order in which they start, and the reverse in which they stop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from gitward.api import events
from gitward.api.app import create_app
from gitward.api.services import Services
from gitward.cli.child_processes import ChildProcesses
from gitward.cli.derived_settings import agents_of, environments_of, operator_limits_of
from gitward.cli.identity import identities, operators_of, rules_of
from gitward.cli.metrics_listener import metrics_listener
from gitward.cli.model_budgets import prices_of
from gitward.cli.pages import pages_of
from gitward.cli.sign_in import local_link
from gitward.cli.site import Site
from gitward.cli.storage import open_storage, own_data_folder
from gitward.cli.tokens import github_of, token_source
from gitward.cli.worker_parts import started_worker
from gitward.identity.code_flow import CodeFlow
from gitward.identity.collaborators import Collaborators, asking
from gitward.secrets import Secret
from gitward.sessions.live_events import LiveEvents
from gitward.settings.fields import Settings
from gitward.settings.token_reader import TokenReader
from gitward.store.database import API_POSTGRES_WRITERS, POSTGRES_WRITERS, Database
from gitward.telemetry.loop_watch import logging_what_holds_the_loop
from gitward.web.signing_in import SigningIn
from gitward.web.signing_in.hosts import Hosts
from gitward.workers.worker import Worker


@dataclass(frozen=True, kw_only=True)
class Service:
    """A running service."""

    app: Site
    stopping: asyncio.Event
    worker: Worker | None  # None: the API alone
    sign_in_link: str | None  # None: people sign in at an issuer


@contextlib.asynccontextmanager
async def running_service(
    settings: Settings,
    tokens: TokenReader,
    hands: ChildProcesses | None,
    *,
    base_url: str,
    client_secret: Secret | None = None,
) -> AsyncIterator[Service]:
    """The service, with a worker inside that has these hands, or without, started in the order of the lines below.

    :raises SettingsError: something that the settings name cannot be used.
    """
    async with contextlib.AsyncExitStack() as stack:
        known = await stack.enter_async_context(identities(settings, client_secret))
        if hands is not None:
            await stack.enter_async_context(own_data_folder(settings))
        storage = await stack.enter_async_context(
            open_storage(settings, API_POSTGRES_WRITERS if hands is None else POSTGRES_WRITERS)
        )
        watch, worker = storage.watch, None
        if hands is not None:
            worker = await stack.enter_async_context(started_worker(settings, tokens, hands, storage, base_url))
        stopping = watch.stopping = asyncio.Event()
        services = Services(
            database=storage.database,
            feeds=LiveEvents(
                database=storage.database, journal=storage.journal, notifier=storage.notifier, encode=events.line
            ),
            sessions=storage.sessions,
            verifier=known.verifier,
            checks=watch.checks,
            metrics=partial(watch.render, with_figures=True),
            stopping=stopping,
            operators=operators_of(settings),
            repo_globs=settings.repo_globs,
            rules=rules_of(settings),
            collaborators=await stack.enter_async_context(_collaborators(settings, tokens)),
            is_proxied=settings.is_proxied,
            reach=operator_limits_of(settings),
            agents=agents_of(settings, hands),
            agents_elsewhere=hands is None,
            environments=environments_of(settings),
            prices=prices_of(settings),
        )
        await stack.enter_async_context(metrics_listener(watch, settings.metrics_port, with_figures=True))
        stack.enter_context(logging_what_holds_the_loop())
        sign_in = _signing_in(settings, storage.database, known.flow)
        stack.push_async_callback(sign_in.stop)
        pages = pages_of(
            services, watch=watch, sign_in=sign_in, settings=settings, with_worker=hands is not None, tokens=tokens
        )
        app = Site(create_app(services), pages)
        link = None if settings.issuers else await local_link(settings, storage.database, base_url)
        yield Service(app=app, stopping=stopping, worker=worker, sign_in_link=link)


@contextlib.asynccontextmanager
async def running_worker(settings: Settings, tokens: TokenReader, hands: ChildProcesses) -> AsyncIterator[Worker]:
    """A worker alone, beside services and other workers on the same database.

    :raises SettingsError: something that the settings name cannot be used.
    """
    async with own_data_folder(settings), open_storage(settings) as storage:
        base_url = f"http://{settings.host}:{settings.port}"
        async with (
            started_worker(settings, tokens, hands, storage, base_url) as worker,
            metrics_listener(storage.watch, settings.metrics_port, with_figures=False),
        ):
            with logging_what_holds_the_loop():
                yield worker


@contextlib.asynccontextmanager
async def _collaborators(settings: Settings, tokens: TokenReader) -> AsyncIterator[Collaborators | None]:
    """The API's own questions to GitHub; without GITWARD_AUTHORIZE=collaborator it asks nothing."""
    if not settings.asks_collaborators or settings.login_claim is None:
        yield None
        return
    github = github_of(settings)
    try:
        ask = asking(token_source(settings, tokens, github), github)
        yield Collaborators(ask, login_claim=settings.login_claim)
    finally:
        await github.stop()


def _signing_in(settings: Settings, database: Database, flow: CodeFlow | None) -> SigningIn:
    return SigningIn(
        database,
        hosts=Hosts(settings.public_url, settings.host),
        operators=operators_of(settings),
        lifetime=timedelta(hours=settings.sign_in_hours),
        flow=flow,
        is_local=not settings.issuers,
    )
