"""Assembles a worker: its parts, and the order in which they start."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from gitward.api.operator_limits import OperatorLimits
from gitward.broker.policy.egress.addresses import Reach, parse_networks
from gitward.cli.child_processes import ChildProcesses
from gitward.cli.derived_settings import agents_of, environments_of, job_settings, operator_limits_of, sandbox_limits
from gitward.cli.identity import rules_of
from gitward.cli.storage import Storage
from gitward.cli.tokens import github_of, token_source
from gitward.cli.write_check import WriteCheck
from gitward.environments.catalogue import Environments
from gitward.errors import FieldError
from gitward.identity.authorization import Rule, refused
from gitward.repositories.mirrors import Mirrors
from gitward.repositories.pack_inspection.inspector import PackInspector
from gitward.runs.access import gh_login
from gitward.runs.run_session import run_session
from gitward.runs.services import JobServices
from gitward.runs.storage.disk_guard import DiskGuard
from gitward.runs.upkeep.periodic_tasks import worker_tasks
from gitward.runs.upkeep.webhooks.sender import Sender
from gitward.sandboxes.metered_engine import MeteredEngine
from gitward.sessions.model import Session
from gitward.sessions.new_session import NewSession
from gitward.sessions.progress import Progress
from gitward.sessions.retention import Retention
from gitward.sessions.schedule_runner import ScheduleRunner
from gitward.sessions.webhook_targets import read_targets
from gitward.settings.fields import Settings
from gitward.settings.token_reader import TokenReader
from gitward.settings.values import MiB
from gitward.workers.shift import Job, Shift
from gitward.workers.worker import Worker


@contextlib.asynccontextmanager
async def started_worker(
    settings: Settings, tokens: TokenReader, hands: ChildProcesses, storage: Storage, base_url: str
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
            agents=agents_of(settings, hands),
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
        limits, rules = operator_limits_of(settings), rules_of(settings)
        refusal = partial(_refusal, settings.repo_globs, rules, limits, parts.environments)
        schedules = ScheduleRunner(storage.sessions, refusal)
        retention = Retention(storage.database, days=settings.retention_days, audit_days=settings.audit_days)
        sender = _webhook_sender(settings, storage, base_url)
        stack.push_async_callback(sender.stop)
        chores = worker_tasks(parts, schedules, retention, sender)
        await chores.start()
        stack.push_async_callback(chores.stop)
        watch = storage.watch
        watch.trial = WriteCheck(storage.database, settings.data_dir / "workspaces")
        watch.sandboxes = hands.sandboxes
        watch.worker, watch.github, watch.brokers, watch.guards = worker, github, hands.brokers, hands.guards
        yield worker


def _webhook_sender(settings: Settings, storage: Storage, base_url: str) -> Sender:
    """:raises SettingsError: GITWARD_WEBHOOKS_FILE cannot be read."""
    roots = str(settings.ssl_cert_file) if settings.ssl_cert_file else None
    return Sender(
        storage.database,
        targets=read_targets(settings.webhooks_file),
        session_url=job_settings(settings, base_url).session_url,
        reach=Reach(parse_networks(settings.egress_private)),
        tls=partial(ssl.create_default_context, cafile=roots),
    )


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
