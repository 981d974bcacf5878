"""How commands are confined, and how many runs there are at the same time."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from gitward.settings.groups.source import EnvironmentSettings
from gitward.settings.values import Credentials, LimitsMode, SandboxKind


class RunSettings(EnvironmentSettings):
    credentials: Credentials = Field(
        Credentials.BROKER,
        alias="GITWARD_CREDENTIALS",
        description="broker: gh gets a worthless run credential inside the sandbox; login: gh gets the token itself.",
    )
    sandbox: SandboxKind = Field(
        SandboxKind.BUBBLEWRAP, alias="GITWARD_SANDBOX", description="The engine that confines commands."
    )
    sandbox_paths: str = Field(
        "",
        alias="GITWARD_SANDBOX_PATHS",
        description="More tool folders (separated by `:`), visible read-only in the sandbox and added to its PATH.",
    )
    limits: LimitsMode = Field(
        LimitsMode.BEST_EFFORT,
        alias="GITWARD_LIMITS",
        description=(
            "strict: refuse to start where the machine cannot enforce a limit; best-effort: enforce what the "
            "machine can."
        ),
    )
    memory_mib: int = Field(4096, ge=64, alias="GITWARD_MEMORY", description="Memory of one sandbox, in MiB.")
    processes: int = Field(512, ge=16, alias="GITWARD_PROCESSES", description="Processes and threads of one sandbox.")
    disk_mib: int = Field(10240, ge=64, alias="GITWARD_DISK", description="Disk of one session's workspace, in MiB.")
    max_runs: int = Field(4, ge=1, le=1000, alias="GITWARD_MAX_RUNS", description="Concurrent runs, over all workers.")
    max_runs_per_user: int = Field(
        4, ge=1, le=1000, alias="GITWARD_MAX_RUNS_PER_USER", description="Concurrent runs of one user."
    )
    max_runs_per_worker: int | None = Field(
        None,
        ge=1,
        le=1000,
        alias="GITWARD_MAX_RUNS_PER_WORKER",
        description="Concurrent runs of one worker; the same for all workers. Default: GITWARD_MAX_RUNS.",
    )
    lease_seconds: float = Field(
        6.0,
        ge=3,
        le=300,
        alias="GITWARD_LEASE_SECONDS",
        description="How long a worker on Postgres may be silent before others take its runs over.",
    )
    grace_seconds: int = Field(
        30,
        ge=0,
        le=24 * 3600,
        alias="GITWARD_GRACE_SECONDS",
        description="How long running runs may continue after SIGTERM, before the worker hands them over.",
    )
    run_timeout_seconds: int = Field(
        3600,
        ge=1,
        le=7 * 24 * 3600,
        alias="GITWARD_RUN_TIMEOUT_SECONDS",
        description="Time limit of a run; a run may ask for less.",
    )

    @property
    def slots(self) -> int:
        """How many runs this worker takes at the same time."""
        return min(self.max_runs, self.max_runs_per_worker or self.max_runs)

    @property
    def tool_paths(self) -> tuple[Path, ...]:
        return tuple(Path(part) for part in self.sandbox_paths.split(":") if part)
