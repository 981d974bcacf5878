"""Every setting, as a field of one frozen value. The fields stand in `groups`, by topic.

GitHub's own names (GITHUB_TOKEN, GITHUB_SERVER_URL, GITHUB_API_URL) are used as they are; ours begin with
GITWARD_. Values come from the environment; secrets may also stand in a file `.env` in the working folder.
"""

from __future__ import annotations

from pathlib import Path

from gitward.settings.groups.agents import AgentSettings
from gitward.settings.groups.github import GitHubSettings
from gitward.settings.groups.operation import OperationSettings
from gitward.settings.groups.reach import ReachSettings
from gitward.settings.groups.runs import RunSettings
from gitward.settings.groups.service import ServiceSettings
from gitward.settings.groups.signing_in import SigningInSettings


class Settings(
    # The last one's fields come first, in docs/settings.md too.
    OperationSettings,
    AgentSettings,
    ReachSettings,
    RunSettings,
    SigningInSettings,
    ServiceSettings,
    GitHubSettings,
):
    """What an operator can set. The table in docs/settings.md is made from these fields."""

    @property
    def sqlite_file(self) -> Path | None:
        """The file of a SQLite database; None: the database is not SQLite. Known without loading a driver."""
        url = self.effective_database_url.partition("?")[0]
        return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None

    @property
    def agents_dir(self) -> Path:
        return self.agents_folder or self.data_dir / "agents"

    @property
    def environments_dir(self) -> Path:
        return self.environments_folder or self.data_dir / "environments"
