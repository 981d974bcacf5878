"""Puts the service together: what is made, in which order it starts, and the reverse in which it stops."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import ssl
import stat
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy.exc import SQLAlchemyError

from gitward.api import events
from gitward.api.app import create_app
from gitward.api.auth import Verifier
from gitward.api.authorization import Rule, parse_rules, refused
from gitward.api.keys import load_or_make_key, public_key
from gitward.api.oidc import Issuer, is_safe_url
from gitward.api.services import Check, Services
from gitward.broker import Broker, BrokerConfig
from gitward.broker.inject.sources import SecretSources
from gitward.cli.egress import egress_config, secret_sources
from gitward.cli.tokens import github_of, token_source
from gitward.engine.queue import DbosQueue
from gitward.engine.worker import Worker, migrate_engine, new_executor_id
from gitward.errors import SettingsError
from gitward.jobs import login
from gitward.jobs.chores import chores_of
from gitward.jobs.inspection import PackInspector
from gitward.jobs.parts import JobSettings, Parts
from gitward.jobs.run_session import run_session
from gitward.sandboxes import Guard, Limits
from gitward.sandboxes.bubblewrap import BubblewrapEngine
from gitward.sessions.feeds import Feeds
from gitward.sessions.firing import Firing
from gitward.sessions.journal import Journal
from gitward.sessions.places import Places, RunLimits
from gitward.sessions.progress import Progress
from gitward.sessions.retention import Retention
from gitward.sessions.service import NewSession, SessionService
from gitward.settings import Credentials, LimitsMode, MiB, Settings, TokenReader
from gitward.store.database import Database
from gitward.store.migrate import migrate
from gitward.store.notify import Notifier

log = logging.getLogger(__name__)

ISSUER_SECONDS = 10.0  # for one answer of an OpenID Connect issuer


@dataclass(frozen=True, kw_only=True)
class Service:
    """A running service."""

    app: FastAPI
    stopping: asyncio.Event


@contextlib.asynccontextmanager
async def running_service(settings: Settings, tokens: TokenReader, *, base_url: str) -> AsyncIterator[Service]:
    """The service with its worker inside: database, broker, sandboxes and queue, started in this order.

    :raises SettingsError: something that the settings name cannot be used.
    """
    injected = secret_sources(settings)
    config = broker_config(settings, injected)
    prepare_data_dir(settings.data_dir)
    async with contextlib.AsyncExitStack() as stack:
        verifier = await stack.enter_async_context(_verifier(settings))
        # The launcher forks, so it comes before anything that starts threads.
        # Two for each run: its own, and one in which a push of it is looked at.
        sandboxes = BubblewrapEngine(slots=2 * settings.slots, tool_paths=settings.tool_paths)
        await sandboxes.start()
        stack.push_async_callback(sandboxes.stop)
        guards = await sandboxes.probe()
        _check_limits(settings, guards)
        broker = Broker(config)
        await broker.start()
        stack.push_async_callback(broker.stop)
        database = Database(settings.effective_database_url)
        stack.push_async_callback(database.stop)
        await migrate(database)
        await asyncio.to_thread(migrate_engine, database)
        queue = DbosQueue(database)
        stack.callback(queue.close)
        notifier = Notifier()
        journal = Journal(notifier)
        limits = RunLimits(total=settings.max_runs, per_user=settings.max_runs_per_user)
        places = Places(queue, limits)
        worker = Worker(
            database,
            executor_id=new_executor_id(),
            slots=settings.slots,
        )
        github = github_of(settings)
        stack.push_async_callback(github.stop)
        inspector = PackInspector(sandboxes, settings.data_dir / "pushes", sandbox_limits(settings))
        parts = Parts(
            database=database,
            notifier=notifier,
            progress=Progress(places=places, journal=journal, worker=worker.executor_id),
            tokens=token_source(settings, tokens, github),
            github=github,
            broker=broker,
            injected=injected,
            sandboxes=sandboxes,
            inspector=inspector,
            settings=job_settings(settings, base_url),
        )
        await worker.acquire()  # before anything that a worker does to what another one may be using
        await login.wipe_all(parts.settings.workspaces)
        await inspector.wipe()
        stack.push_async_callback(_release, parts)
        await worker.start(partial(run_session, parts))
        stack.push_async_callback(worker.stop)
        sessions = SessionService(places=places, journal=journal)
        firing = Firing(sessions, partial(_refusal, settings.repo_globs, _rules(settings)))
        chores = chores_of(parts, firing, Retention(database, queue, days=settings.retention_days))
        await chores.start()
        stack.push_async_callback(chores.stop)
        stopping = asyncio.Event()
        services = Services(
            database=database,
            feeds=Feeds(database=database, journal=journal, notifier=notifier, encode=events.line),
            sessions=sessions,
            verifier=verifier,
            checks=partial(_checks, database, guards),
            stopping=stopping,
            repo_globs=settings.repo_globs,
            rules=_rules(settings),
        )
        yield Service(app=create_app(services), stopping=stopping)


@contextlib.asynccontextmanager
async def _verifier(settings: Settings) -> AsyncIterator[Verifier]:
    """With issuers, theirs are the only tokens that are taken; without, those of the local key."""
    unsafe = [issuer for issuer in settings.issuers if not is_safe_url(issuer)]
    if unsafe:
        raise SettingsError([f"GITWARD_OIDC_ISSUERS: {issuer} must begin with https://" for issuer in unsafe])
    if not settings.issuers:
        key = load_or_make_key(settings.data_dir)
        yield Verifier(public_key(key), audience=settings.oidc_audience)
        return
    roots = ssl.create_default_context(cafile=str(settings.ssl_cert_file) if settings.ssl_cert_file else None)
    async with httpx.AsyncClient(verify=roots, timeout=ISSUER_SECONDS, trust_env=False) as http:
        issuers = [Issuer(url, http) for url in settings.issuers]
        yield Verifier(None, audience=settings.oidc_audience, issuers=issuers)


def _rules(settings: Settings) -> tuple[Rule, ...]:
    try:
        return parse_rules(settings.authorize)
    except ValueError as error:
        raise SettingsError([f"GITWARD_AUTHORIZE: {error}"]) from None


def _refusal(
    globs: Sequence[str], rules: Sequence[Rule], template: NewSession, claims: Mapping[str, Any]
) -> str | None:
    """Why a schedule may not go on: the operator's settings changed since it was posted."""
    errors = refused(globs, rules, claims, template.repo, template.submodules)
    return f"Paused: {errors[0].field} {errors[0].message}." if errors else None


async def _release(parts: Parts) -> None:
    async with parts.database.transaction() as tx:
        await parts.progress.release(tx)


def prepare_data_dir(data_dir: Path) -> None:
    """Makes the data folder: its owner writes, others may only pass through (a sandbox's own uid must).

    :raises SettingsError: it cannot be made, or others may read or write it.
    """
    try:
        data_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
        mode = stat.S_IMODE(data_dir.stat().st_mode)
        if mode & 0o066:
            raise SettingsError(
                [f"GITWARD_DATA_DIR: others may read {data_dir} (mode {mode:04o}); run: chmod 711 {data_dir}"]
            )
        for name in ("workspaces", "pushes"):
            (data_dir / name).mkdir(mode=0o711, exist_ok=True)
            (data_dir / name).chmod(0o711)  # whatever the umask
        data_dir.chmod(0o711)
    except OSError as error:
        raise SettingsError([f"GITWARD_DATA_DIR: {data_dir} cannot be used: {error.strerror}"]) from None
    os.umask(0o077)  # the database and its journals are for their owner only


def broker_config(settings: Settings, injected: SecretSources) -> BrokerConfig:
    """:raises SettingsError: what the settings say of other hosts cannot be understood."""
    return BrokerConfig(
        server_url=settings.github_server_url,
        api_url=settings.github_api_url,
        upstream_url=settings.effective_upstream_url,
        upstream_api_url=settings.effective_upstream_api_url,
        login_mode=settings.credentials is Credentials.LOGIN,
        ca_file=str(settings.ssl_cert_file) if settings.ssl_cert_file else None,
        egress=egress_config(settings),
        inject=injected.targets,
    )


def job_settings(settings: Settings, base_url: str) -> JobSettings:
    return JobSettings(
        server_url=settings.github_server_url,
        session_url=f"{base_url}/sessions",
        workspaces=settings.data_dir / "workspaces",
        run_timeout_seconds=settings.run_timeout_seconds,
        workspace_hours=settings.workspace_hours,
        limits=sandbox_limits(settings),
        login_mode=settings.credentials is Credentials.LOGIN,
        commit_name=settings.commit_name,
        commit_email=settings.commit_email,
    )


def sandbox_limits(settings: Settings) -> Limits:
    """Of one sandbox."""
    return Limits(
        memory_bytes=settings.memory_mib * MiB,
        processes=settings.processes,
        disk_bytes=settings.disk_mib * MiB,
    )


def _check_limits(settings: Settings, guards: Sequence[Guard]) -> None:
    """:raises SettingsError: GITWARD_LIMITS is strict, and a limit cannot hold on this machine."""
    missing = [guard for guard in guards if guard.holds == "none"]
    if settings.limits is LimitsMode.STRICT and missing:
        raise SettingsError(
            [f"GITWARD_LIMITS: strict, but the limit {each.name} cannot hold here: {each.remedy}" for each in missing]
        )
    for guard in missing:
        log.warning("The limit %s cannot hold on this machine: %s", guard.name, guard.remedy)


async def _checks(database: Database, guards: Sequence[Guard]) -> list[Check]:
    """What `/ready` tells: what must work, and which limits hold."""
    limits = [Check(name=f"limit {each.name}", ok=True, detail=f"{each.holds}: {each.how}") for each in guards]
    return [await _database_answers(database), *limits]


async def _database_answers(database: Database) -> Check:
    try:
        async with asyncio.timeout(5):
            await database.ping()
    except (SQLAlchemyError, OSError) as error:
        log.warning("The database does not answer: %s", type(error).__name__)
        return Check(name="database", ok=False, detail="The database does not answer.")
    return Check(name="database", ok=True, detail="The database answers.")
