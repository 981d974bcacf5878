"""Agents, their models, and the environments in which they and commands work."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from gitward.settings.groups.source import EnvironmentSettings
from gitward.settings.values import AbsolutePath


class AgentSettings(EnvironmentSettings):
    anthropic_api_key_file: Path | None = Field(
        None,
        alias="ANTHROPIC_API_KEY_FILE",
        description="A file with agents' key for api.anthropic.com, read for each run. Or export ANTHROPIC_API_KEY.",
    )
    openai_api_key_file: Path | None = Field(
        None,
        alias="OPENAI_API_KEY_FILE",
        description="The same for api.openai.com. Or export OPENAI_API_KEY.",
    )
    agents_file: Path | None = Field(
        None,
        alias="GITWARD_AGENTS_FILE",
        description="A TOML file with agents beside the built-in ones. See docs/agents.md.",
    )
    agent_start_seconds: int = Field(
        90,
        ge=1,
        le=3600,
        alias="GITWARD_AGENT_START_SECONDS",
        description="How long an agent may take from its start until it is ready for its prompt.",
    )
    agent_idle_seconds: int = Field(
        900,
        ge=1,
        le=7 * 24 * 3600,
        alias="GITWARD_AGENT_IDLE_SECONDS",
        description=(
            "How long an agent's turn may last without activity of the agent or its model. Gitward then ends the "
            "turn, and keeps its work."
        ),
    )
    prices: Path | None = Field(
        None,
        alias="GITWARD_PRICES",
        description="A JSON file with the prices of models, for `usd` in usage and budgets. See docs/agents.md.",
    )
    daily_budget: str = Field(
        "",
        alias="GITWARD_DAILY_BUDGET",
        description=(
            "What the agents of one user may use of models on one day (UTC), such as "
            "`requests=500,tokens=20000000,usd=25`. Empty: no limit. See docs/agents.md."
        ),
    )
    agent_keep_seconds: int = Field(
        300,
        ge=1,
        le=24 * 3600,
        alias="GITWARD_AGENT_KEEP_SECONDS",
        description=(
            "How often Gitward keeps the work of a running agent, for the case that its machine is lost; its "
            "conversation at least once a minute."
        ),
    )
    agents_folder: Path | None = Field(
        None,
        alias="GITWARD_AGENTS_DIR",
        description="The folder for programs of `gitward agents install`. Default: `agents` in the data folder.",
    )
    environments: str = Field(
        "",
        alias="GITWARD_ENVIRONMENTS",
        description=(
            "Environments that sessions may name, separated by commas; the first is the default. `host` is the "
            "worker's machine. Empty: `host`, and all that were added. See docs/environments.md."
        ),
    )
    environments_folder: AbsolutePath | None = Field(
        None,
        alias="GITWARD_ENVIRONMENTS_DIR",
        description="The folder for `gitward environments add`. Default: `environments` in the data folder.",
    )
    environment_mib: int = Field(
        16384,
        ge=16,
        alias="GITWARD_ENVIRONMENT_MB",
        description="The largest image that `gitward environments add` takes, unpacked, in MiB.",
    )
    setup_seconds: int = Field(
        1800,
        ge=1,
        le=7 * 24 * 3600,
        alias="GITWARD_SETUP_SECONDS",
        description="How long a run's setup may take, within the run's own limit.",
    )

    @property
    def model_key_files(self) -> dict[str, Path]:
        """Files with the keys of known models' providers, by the variable in whose place they stand."""
        found = {"ANTHROPIC_API_KEY": self.anthropic_api_key_file, "OPENAI_API_KEY": self.openai_api_key_file}
        return {variable: path.absolute() for variable, path in found.items() if path is not None}

    @property
    def allowed_environments(self) -> tuple[str, ...]:
        return tuple(part.strip() for part in self.environments.split(",") if part.strip())
