"""Operators, what is kept for how long, and what repositories there may be."""

from __future__ import annotations

from pydantic import Field

from gitward.settings.groups.source import EnvironmentSettings
from gitward.settings.values import Line


class OperationSettings(EnvironmentSettings):
    operators: str = Field(
        "",
        alias="GITWARD_OPERATORS",
        description="Who is an operator, by claims: `groups=platform-ops; sub=prom`. Operators see the audit log, "
        "their pages, and /metrics from another machine. With several issuers each names one, as in GITWARD_AUTHORIZE. "
        "Default: without issuers GITWARD_LOCAL_SUBJECT, else nobody.",
    )
    metrics_port: int = Field(
        0,
        ge=0,
        le=65535,
        alias="GITWARD_METRICS_PORT",
        description="A port on loopback with this process's metrics, for a worker without an API and an API behind a "
        "proxy; 0: none.",
    )
    retention_days: int = Field(
        90,
        ge=0,
        le=36500,
        alias="GITWARD_RETENTION_DAYS",
        description=(
            "Days after their last change until ended sessions are removed, with events and artifacts; 0 keeps them."
        ),
    )
    audit_days: int = Field(
        365,
        ge=0,
        le=36500,
        alias="GITWARD_AUDIT_DAYS",
        description="Days for which the audit log keeps its lines; 0: until there are a million of them.",
    )
    workspace_hours: int = Field(
        72,
        ge=1,
        le=876000,
        alias="GITWARD_WORKSPACE_HOURS",
        description="Idle hours until a session's workspace is removed; its next run begins without caches.",
    )
    mirror_mib: int = Field(
        20480,
        ge=0,
        alias="GITWARD_MIRROR_MB",
        description=(
            "Disk for all mirrors of repositories together, in MiB; 0: no mirrors, every run clones. See "
            "docs/mirrors.md."
        ),
    )
    reserve_mib: int = Field(
        32,
        ge=0,
        le=4096,
        alias="GITWARD_RESERVE_MB",
        description=(
            "Disk that is reserved for a SQLite database, in MiB, so that runs end truthfully when the disk is "
            "full; of a small disk an eighth at most. 0: no reserve. See docs/operations.md."
        ),
    )
    repos: str = Field(
        "",
        alias="GITWARD_REPOS",
        description="Repositories that sessions may name: globs such as `acme/*`, separated by commas. Empty: all.",
    )
    commit_name: Line | None = Field(
        None, alias="GITWARD_COMMIT_NAME", description="Author of commits. Default: the token's owner."
    )
    commit_email: Line | None = Field(
        None,
        alias="GITWARD_COMMIT_EMAIL",
        description="E-mail address of the author. Default: the token owner's public address, else the noreply one.",
    )

    @property
    def repo_globs(self) -> tuple[str, ...]:
        return tuple(part.strip().lower() for part in self.repos.split(",") if part.strip())
