"""Assembles the service: its parts, the order in which they start, and the reverse in which they stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

from gitward.agents.agents_file import WrongAgentsFile, read_catalogue
from gitward.agents.installed import Agents
from gitward.api import events
from gitward.api.app import create_app
from gitward.api.operator_limits import OperatorLimits
from gitward.api.services import Services
from gitward.broker.policy.egress.addresses import Reach, parse_networks
from gitward.cli.child_processes import ChildProcesses
from gitward.cli.health import ServiceHealth
from gitward.cli.identity import identities, operators_of, rules_of
from gitward.cli.metrics_listener import metrics_listener
from gitward.cli.model_budgets import daily_budget_of, prices_of
from gitward.cli.pages import pages_of
from gitward.cli.sign_in import local_link
from gitward.cli.site import Site
from gitward.cli.tokens import github_of, token_source
from gitward.cli.write_check import WriteCheck
from gitward.environments.catalogue import Environments
from gitward.errors import FieldError, SettingsError
from gitward.identity.authorization import Rule, refused
from gitward.identity.code_flow import CodeFlow
from gitward.identity.collaborators import Collaborators, asking
from gitward.repositories.mirrors import Mirrors
from gitward.repositories.pack_inspection.inspector import PackInspector
from gitward.runs.access import gh_login
from gitward.runs.run_session import run_session
from gitward.runs.services import JobServices, JobSettings
from gitward.runs.storage import removable_files
from gitward.runs.storage.disk_guard import DiskGuard
from gitward.runs.upkeep.periodic_tasks import worker_tasks
from gitward.runs.upkeep.webhooks.sender import Sender
from gitward.sandboxes import Limits
from gitward.sandboxes.metered_engine import MeteredEngine
from gitward.secrets import Secret
from gitward.sessions.journal import Journal
from gitward.sessions.live_events import LiveEvents
from gitward.sessions.model import Session
from gitward.sessions.places import Places, RunLimits
from gitward.sessions.progress import Progress
from gitward.sessions.queue import RunQueue
from gitward.sessions.retention import Retention
from gitward.sessions.schedule_runner import ScheduleRunner
from gitward.sessions.service import NewSession, SessionService
from gitward.sessions.webhook_targets import read_targets
from gitward.sessions.webhooks import Outbox
from gitward.settings.fields import Settings
from gitward.settings.token_reader import TokenReader
from gitward.settings.values import AllowWorkflows, Credentials, MiB, Writes
from gitward.store.database import API_POSTGRES_WRITERS, POSTGRES_WRITERS, Database
from gitward.store.notify import Notifier
from gitward.telemetry.loop_watch import logging_what_holds_the_loop
from gitward.telemetry.metrics import Metrics
from gitward.web.signing_in import SigningIn
from gitward.web.signing_in.hosts import Hosts
from gitward.workers.file_lock import FileLock
from gitward.workers.migrate import migrate_all
from gitward.workers.shift import Job, Shift
from gitward.workers.worker import Worker

log = logging.getLogger(__name__)

_FOLDER_TAKEN = "GITWARD_DATA_DIR: another worker already uses this folder; give each worker of a machine its own"


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
            await stack.enter_async_context(_data_folder(settings))
        storage = await stack.enter_async_context(
            _storage(settings, API_POSTGRES_WRITERS if hands is None else POSTGRES_WRITERS)
        )
        watch, worker = storage.watch, None
        if hands is not None:
            worker = await stack.enter_async_context(_worker(settings, tokens, hands, storage, base_url))
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
            reach=_reach(settings),
            agents=_agents(settings, hands),
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
    async with _data_folder(settings), _storage(settings) as storage:
        base_url = f"http://{settings.host}:{settings.port}"
        async with (
            _worker(settings, tokens, hands, storage, base_url) as worker,
            metrics_listener(storage.watch, settings.metrics_port, with_figures=False),
        ):
            with logging_what_holds_the_loop():
                yield worker


@contextlib.asynccontextmanager
async def _data_folder(settings: Settings) -> AsyncIterator[None]:
    """The data folder belongs to this worker inside the block; it comes before all that wants to write there.

    :raises SettingsError: another worker has it.
    """
    folder = FileLock(settings.data_dir / "worker.lock", _FOLDER_TAKEN)
    await asyncio.to_thread(folder.acquire)
    try:
        await asyncio.to_thread(removable_files.make_room, settings.data_dir)
        yield
    finally:
        folder.release()


@dataclass(frozen=True, kw_only=True)
class _Storage:
    """The database and what is written to it."""

    database: Database
    notifier: Notifier
    journal: Journal
    queue: RunQueue
    places: Places
    sessions: SessionService
    watch: ServiceHealth


@contextlib.asynccontextmanager
async def _storage(settings: Settings, postgres_writers: int = POSTGRES_WRITERS) -> AsyncIterator[_Storage]:
    async with contextlib.AsyncExitStack() as stack:
        database = Database(
            settings.effective_database_url, reserve_bytes=settings.reserve_mib * MiB, postgres_writers=postgres_writers
        )
        stack.push_async_callback(database.stop)
        await asyncio.to_thread(database.reserve.open_up)
        await migrate_all(database)
        await database.watch_disk()
        notifier = Notifier()
        if not database.is_sqlite:  # its driver takes 9 MB, which a service on SQLite need not load
            from gitward.store.relay import Relay

            relay = Relay(database, notifier)
            await relay.start()
            stack.push_async_callback(relay.stop)
        metrics = Metrics()
        journal = Journal(notifier, metrics.count_events, outbox=Outbox(tuple(read_targets(settings.webhooks_file))))
        limits = RunLimits(total=settings.max_runs, per_user=settings.max_runs_per_user)
        places = Places(notifier, limits)
        yield _Storage(
            database=database,
            notifier=notifier,
            journal=journal,
            queue=RunQueue(places=places, journal=journal),
            places=places,
            sessions=SessionService(places=places, journal=journal),
            watch=ServiceHealth(metrics=metrics, database=database, limits=limits, trial=WriteCheck(database, None)),
        )


@contextlib.asynccontextmanager
async def _worker(
    settings: Settings, tokens: TokenReader, hands: ChildProcesses, storage: _Storage, base_url: str
) -> AsyncIterator[Worker]:
    """A worker that takes runs."""
    async with contextlib.AsyncExitStack() as stack:
        github = github_of(settings)
        stack.push_async_callback(github.stop)
        source = token_source(settings, tokens, github)

        def progress(worker: str) -> Progress:
            return Progress(places=storage.places, journal=storage.journal, worker=worker)

        inspector = PackInspector(hands.sandboxes, settings.data_dir / "pushes", sandbox_limits(settings))
        measured = MeteredEngine(hands.sandboxes, storage.watch.metrics)
        mirrors = Mirrors(
            settings.data_dir,
            measured,
            limits=sandbox_limits(settings),
            limit_bytes=settings.mirror_mib * MiB,
            metrics=storage.watch.metrics,
        )
        disk = DiskGuard(settings.data_dir / "workspaces", mirrors)
        parts = JobServices(
            database=storage.database,
            notifier=storage.notifier,
            progress=progress("nobody"),
            tokens=source,
            github=github,
            brokers=hands.brokers,
            injected=hands.injected,
            sandboxes=measured,
            inspector=inspector,
            mirrors=mirrors,
            settings=job_settings(settings, base_url),
            disk=disk,
            metrics=storage.watch.metrics,
            agents=_agents(settings, hands),
            environments=environments_of(settings),
            admission=partial(_refusal_of_move, settings.repo_globs, rules_of(settings)),
        )

        def job(shift: Shift) -> Job:
            return partial(run_session, replace(parts, progress=progress(shift.id), lease=shift.lease))

        worker = Worker(
            storage.database,
            queue=storage.queue,
            notifier=storage.notifier,
            slots=settings.slots,
            lease_seconds=settings.lease_seconds,
            children=hands.pids,
            on_lease=hands.act_until,
            may_take=lambda: not (disk.is_low or storage.database.is_low),
        )
        await worker.acquire()  # before anything that a worker does to what another one may be using
        await gh_login.wipe_all(settings.data_dir / "workspaces")
        await inspector.wipe()
        await parts.trash.start(settings.data_dir / "workspaces")
        stack.push_async_callback(parts.trash.stop)
        await mirrors.start()
        stack.push_async_callback(mirrors.stop)
        await disk.start()
        stack.push_async_callback(disk.stop)
        await worker.start(job)
        stack.push_async_callback(worker.stop)
        firing = ScheduleRunner(
            storage.sessions,
            partial(_refusal, settings.repo_globs, rules_of(settings), _reach(settings), parts.environments),
        )
        retention = Retention(storage.database, days=settings.retention_days, audit_days=settings.audit_days)
        sender = _webhook_sender(settings, storage, base_url)
        stack.push_async_callback(sender.stop)
        chores = worker_tasks(parts, firing, retention, sender)
        await chores.start()
        stack.push_async_callback(chores.stop)
        watch = storage.watch
        watch.trial = WriteCheck(storage.database, settings.data_dir / "workspaces")
        watch.sandboxes = hands.sandboxes
        watch.worker, watch.github, watch.brokers, watch.guards = worker, github, hands.brokers, hands.guards
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


def _reach(settings: Settings) -> OperatorLimits:
    return OperatorLimits(
        own_writes=settings.writes is Writes.OWN,
        never_workflows=settings.allow_workflows is AllowWorkflows.NEVER,
        callback_hosts=tuple(host.strip().lower() for host in settings.callback_hosts.split(",") if host.strip()),
    )


def _webhook_sender(settings: Settings, storage: _Storage, base_url: str) -> Sender:
    """:raises SettingsError: GITWARD_WEBHOOKS_FILE cannot be read."""
    roots = str(settings.ssl_cert_file) if settings.ssl_cert_file else None
    return Sender(
        storage.database,
        targets=read_targets(settings.webhooks_file),
        session_url=job_settings(settings, base_url).session_url,
        reach=Reach(parse_networks(settings.egress_private)),
        tls=partial(ssl.create_default_context, cafile=roots),
    )


def _agents(settings: Settings, hands: ChildProcesses | None) -> Agents:
    """:raises SettingsError: GITWARD_AGENTS_FILE cannot be understood."""
    keys = [] if hands is None else [(each.host, each.port) for each in hands.injected.targets]
    try:
        return Agents(read_catalogue(settings.agents_file), settings.agents_dir, keys)
    except WrongAgentsFile as error:
        raise SettingsError([f"GITWARD_AGENTS_FILE: {each}" for each in error.problems]) from None


def environments_of(settings: Settings) -> Environments:
    return Environments(settings.environments_dir, settings.allowed_environments)


def _refusal(
    globs: Sequence[str],
    rules: Sequence[Rule],
    reach: OperatorLimits,
    environments: Environments,
    template: NewSession,
    claims: Mapping[str, Any],
) -> str | None:
    """Why a schedule may not go on: the operator's settings changed since it was posted."""
    errors = [*refused(globs, rules, claims, template.repo, template.submodules), *reach.refused(template)]
    if (gone := environments.refusal(template.environment)) is not None:
        errors.append(FieldError(field="environment", message=gone))
    return f"Paused: {errors[0].field} {errors[0].message}." if errors else None


def _refusal_of_move(globs: Sequence[str], rules: Sequence[Rule], session: Session, repository: str) -> str | None:
    """Why a session may not go on where its repository is now; by what its last request had to show."""
    claims = {**session.claims, "iss": session.owner.issuer}
    errors = refused(globs, rules, claims, repository, ())
    return errors[0].message if errors else None


def job_settings(settings: Settings, base_url: str) -> JobSettings:
    return JobSettings(
        server_url=settings.github_server_url,
        session_url=f"{settings.public_url or base_url}/sessions",
        workspaces=settings.data_dir / "workspaces",
        run_timeout_seconds=settings.run_timeout_seconds,
        workspace_hours=settings.workspace_hours,
        limits=sandbox_limits(settings),
        login_mode=settings.credentials is Credentials.LOGIN,
        public_read=settings.public_read,
        own_writes=settings.writes is Writes.OWN,
        never_workflows=settings.allow_workflows is AllowWorkflows.NEVER,
        agent_start_seconds=settings.agent_start_seconds,
        setup_seconds=settings.setup_seconds,
        agent_idle_seconds=settings.agent_idle_seconds,
        prices=prices_of(settings),
        daily_budget=daily_budget_of(settings),
        agent_keep_seconds=settings.agent_keep_seconds,
        login_claim=settings.login_claim if settings.asks_collaborators else None,
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
