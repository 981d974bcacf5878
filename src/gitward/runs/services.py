"""What the job works with: one frozen value, put together by the command line's wiring."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gitward.agents.installed import Agents
from gitward.broker import Brokers
from gitward.broker.client.injected_secrets import SecretSources
from gitward.environments.catalogue import Environments
from gitward.github.client import GitHub
from gitward.github.retries import Patience
from gitward.github.tokens import TokenSource
from gitward.grants.inspection import Inspector
from gitward.grants.lease import Lease
from gitward.grants.model_budget import NO_LIMITS, ModelLimits
from gitward.grants.prices import NO_PRICES, Prices
from gitward.repositories.mirrors import Mirrors
from gitward.runs.storage.disk_guard import DiskGuard
from gitward.runs.storage.trash import Trash
from gitward.sandboxes import Limits, SandboxEngine
from gitward.sessions.model import Session
from gitward.sessions.progress import Progress
from gitward.store.database import Database
from gitward.store.notify import Notifier
from gitward.telemetry.metrics import Metrics


@dataclass(frozen=True, kw_only=True)
class JobSettings:
    """The settings that the job looks at."""

    server_url: str  # as the sandbox sees it: "https://github.com"
    session_url: str  # where a person sees a session: "http://localhost:8000/sessions"
    workspaces: Path  # one folder a session
    run_timeout_seconds: int
    workspace_hours: int = 72  # a workspace that was idle for so long is removed
    limits: Limits
    login_mode: bool = False
    public_read: bool = False
    own_writes: bool = True  # commands write texts of the session's own pull request and issues only
    never_workflows: bool = False  # no session may change workflows, whatever its POST said
    agent_start_seconds: float = 90.0  # from the start of an agent's program until it is ready for its prompt
    setup_seconds: float = 1800.0  # that a setup may take
    agent_idle_seconds: float = 900.0  # that an agent's turn may last without a sign of life
    prices: Prices = NO_PRICES  # of models
    login_claim: str | None = None  # GitHub is asked whether who has it may still use the repository
    daily_budget: ModelLimits = NO_LIMITS  # of each user, for models
    agent_keep_seconds: float = 300.0  # between two looks at the work of an agent that goes on
    commit_name: str | None = None
    commit_email: str | None = None
    patience: Patience = field(default_factory=Patience)  # with GitHub's faults

    def time_limit(self, asked: int | None) -> int:
        """Seconds that a run may take: what it asked for, but never more than the service allows."""
        return min(asked or self.run_timeout_seconds, self.run_timeout_seconds)

    def may_change_workflows(self, session: Session) -> bool:
        """Whether its pushes may change .github/workflows/; the setting may be younger than the session."""
        return session.allow_workflows and not self.never_workflows


Admission = Callable[[Session, str], str | None]  # what the operator allows instead of this name; None: it is allowed


def refuse(_session: Session, _repository: str) -> str:
    """No renamed repository is allowed."""
    return "must have the name that the session was posted with"


@dataclass(frozen=True, kw_only=True)
class JobServices:
    database: Database
    notifier: Notifier
    progress: Progress
    tokens: TokenSource
    github: GitHub
    brokers: Brokers
    injected: SecretSources  # what the broker adds to requests to other hosts
    sandboxes: SandboxEngine
    inspector: Inspector
    mirrors: Mirrors
    settings: JobSettings
    disk: DiskGuard
    trash: Trash = field(default_factory=Trash)
    admission: Admission = refuse  # whether a session may go on in a repository that was renamed or moved
    metrics: Metrics | None = None
    agents: Agents | None = None  # None: this worker has none
    environments: Environments = field(default_factory=lambda: Environments(Path("/nonexistent")))
    lease: Lease = field(default_factory=Lease)  # of the worker's shift; without end where nobody can take over
