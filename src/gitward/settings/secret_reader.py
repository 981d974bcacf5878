"""Reads secrets that settings only name: by a variable, or by a file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gitward.errors import GitwardError
from gitward.secrets import SHORTEST, Secret
from gitward.settings import env_file, environment


class SecretUnreadable(GitwardError):
    """Where a secret should be, there is none that can be used. The text quotes nothing."""


class SecretReader:
    """Reads secrets that settings only name: a variable, sealed when this reader is made, or read from `.env` at every
    call like a file (`file:/path`)."""

    def __init__(self, variables: Iterable[str]) -> None:
        # No child shall inherit them. Two entries may name one variable, which can be taken out once.
        exported = {name: environment.take(name) for name in frozenset(variables)}
        self._exported = {name: _seal(value) for name, value in exported.items() if value}

    def has(self, variable: str) -> bool:
        """Whether it was exported."""
        return variable in self._exported

    def read(self, source: str) -> Secret:
        """:raises SecretUnreadable: the text goes on after the secret's name."""
        secret = self._exported[source] if source in self._exported else _seal(_named_value(source).strip())
        if secret is None:
            raise SecretUnreadable(f"is not set, has less than {SHORTEST} characters, or some that no header may have")
        return secret


def _seal(value: str) -> Secret | None:
    """None for what could not be sent, or not be masked."""
    return Secret(value) if len(value) >= SHORTEST and is_sound(value) else None


def _named_value(source: str) -> str:
    try:
        if source.startswith("file:"):
            return Path(source.removeprefix("file:")).read_text()
        return env_file.values().get(source, "")
    except (OSError, UnicodeDecodeError) as error:
        raise SecretUnreadable(f"cannot be read ({type(error).__name__})") from None
    except env_file.NotTrusted as error:
        raise SecretUnreadable(f"cannot be read: {env_file.NAME} {error}") from None


def is_sound(value: str) -> bool:
    """Whether it can stand in a header. It need not look like a token of today."""
    return value.isascii() and value.isprintable() and " " not in value


def is_set(variable: str) -> bool:
    """Whether it is exported or stands in `.env`, whatever it holds. Blocks on a small file."""
    if environment.is_exported(variable):
        return True
    try:
        return bool(env_file.values().get(variable, "").strip())
    except (OSError, UnicodeDecodeError, env_file.NotTrusted):
        return False
