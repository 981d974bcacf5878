"""What single parts take from the settings, as their own values."""

from __future__ import annotations

from gitward.agents.agents_file import WrongAgentsFile, read_catalogue
from gitward.agents.installed import Agents
from gitward.api.operator_limits import OperatorLimits
from gitward.cli.child_processes import ChildProcesses
from gitward.cli.model_budgets import daily_budget_of, prices_of
from gitward.environments.catalogue import Environments
from gitward.errors import SettingsError
from gitward.runs.services import JobSettings
from gitward.sandboxes import Limits
from gitward.settings.fields import Settings
from gitward.settings.values import AllowWorkflows, Credentials, MiB, Writes


def operator_limits_of(settings: Settings) -> OperatorLimits:
    return OperatorLimits(
        own_writes=settings.writes is Writes.OWN,
        never_workflows=settings.allow_workflows is AllowWorkflows.NEVER,
        callback_hosts=tuple(host.strip().lower() for host in settings.callback_hosts.split(",") if host.strip()),
    )


def agents_of(settings: Settings, hands: ChildProcesses | None) -> Agents:
    """:raises SettingsError: GITWARD_AGENTS_FILE cannot be understood."""
    keys = [] if hands is None else [(each.host, each.port) for each in hands.injected.targets]
    try:
        return Agents(read_catalogue(settings.agents_file), settings.agents_dir, keys)
    except WrongAgentsFile as error:
        raise SettingsError([f"GITWARD_AGENTS_FILE: {each}" for each in error.problems]) from None


def environments_of(settings: Settings) -> Environments:
    return Environments(settings.environments_dir, settings.allowed_environments)


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
