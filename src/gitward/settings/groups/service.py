"""Where the service keeps its data and listens."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import Field

from gitward.settings.environment import default_data_dir
from gitward.settings.groups.source import EnvironmentSettings
from gitward.settings.values import LOOPBACK, AbsolutePath, WebUrl


class ServiceSettings(EnvironmentSettings):
    data_dir: AbsolutePath = Field(
        default_factory=default_data_dir,
        alias="GITWARD_DATA_DIR",
        description=(
            "The folder for database, key and workspaces. Default: /var/lib/gitward as root, else the XDG data folder."
        ),
    )
    database_url: str | None = Field(
        None,
        alias="GITWARD_DATABASE_URL",
        description="sqlite:///path or postgresql://…. Default: gitward.db in the data folder.",
    )
    host: str = Field("localhost", alias="GITWARD_HOST", description="The address that the API listens on.")
    port: int = Field(8000, ge=0, le=65535, alias="GITWARD_PORT", description="Its port; 0 takes a free one.")
    public_url: WebUrl | None = Field(
        None,
        alias="GITWARD_PUBLIC_URL",
        description="The API's public address; pull requests link to it. Default: host and port.",
    )

    @property
    def effective_database_url(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir / 'gitward.db'}"

    @property
    def is_proxied(self) -> bool:
        """Whether people reach the API through something else on its machine."""
        return self.public_url is not None and urlsplit(self.public_url).hostname not in LOOPBACK
