"""A JWT by the local key of this machine's data folder."""

from __future__ import annotations

from datetime import timedelta

from gitward.cli.data_folder import prepare_data_dir
from gitward.errors import SettingsError
from gitward.identity.keys import load_or_make_key, mint
from gitward.settings.loading import load_settings


def mint_local(subject: str | None, *, hours: float, command: str = "token") -> str:
    """:param subject: by default GITWARD_LOCAL_SUBJECT.
    :raises SettingsError: the service accepts no such JWT, for it has issuers.
    """
    settings = load_settings()
    if settings.issuers:
        raise SettingsError(
            [
                f"gitward {command}: GITWARD_OIDC_ISSUERS is set, so the service accepts no token of the local key; "
                f"get one from {' or '.join(settings.issuers)}"
            ]
        )
    prepare_data_dir(settings.data_dir)
    return mint(
        load_or_make_key(settings.data_dir),
        subject=subject or settings.local_subject,
        audience=settings.oidc_audience,
        lifetime=timedelta(hours=hours),
    )
