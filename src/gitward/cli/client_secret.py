"""The secret with which Gitward proves itself to the issuer at which browsers sign in."""

from __future__ import annotations

from gitward.errors import SettingsError
from gitward.secrets import Secret
from gitward.settings.fields import Settings
from gitward.settings.secret_reader import SecretReader, SecretUnreadable, is_set

_SECRET = "GITWARD_OIDC_CLIENT_SECRET"  # noqa: S105 -- its name


def forget_client_secret() -> None:
    """For a process that needs none: no child of it shall inherit one."""
    SecretReader([_SECRET])


def take_client_secret(settings: Settings) -> Secret | None:
    """Takes it out of the environment, so that no child inherits it. Blocks on a small file.

    :raises SettingsError: there is one that cannot be used.
    """
    reader, file = SecretReader([_SECRET]), settings.oidc_client_secret_file
    if not reader.has(_SECRET) and file is None and not is_set(_SECRET):
        return None
    source = f"file:{file}" if file is not None and not reader.has(_SECRET) else _SECRET
    try:
        return reader.read(source)
    except SecretUnreadable as error:
        named = _SECRET if source == _SECRET else f"{_SECRET}_FILE"
        raise SettingsError([f"{named}: {error}"]) from None
