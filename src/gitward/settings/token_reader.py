"""Finds the operator's GitHub token."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from gitward.errors import GitwardError
from gitward.secrets import Secret
from gitward.settings import env_file, environment
from gitward.settings.secret_reader import is_sound

_UNSOUND = "characters that no token has, such as a space or a line break; set it to the token alone."


class TokenOrigin(StrEnum):
    """Where the token was found; the log names it."""

    ENVIRONMENT = "environment"
    DOTENV = ".env"
    FILE = "GITHUB_TOKEN_FILE"


class TokenUnreadable(GitwardError):
    """There is something where a token should be, but no token. The text says what to mend and quotes nothing."""


class TokenReader:
    """Finds GITHUB_TOKEN. Exported: sealed when this reader is made. In `.env` or a file: read at every call."""

    def __init__(self, token_file: Path | None) -> None:
        exported = environment.take("GITHUB_TOKEN")  # no child of this process shall inherit it
        self._exported = Secret(exported) if exported else None
        self._exported_is_sound = is_sound(exported)
        self._file = token_file

    @property
    def is_exported(self) -> bool:
        return self._exported is not None

    def read(self) -> tuple[Secret, TokenOrigin] | None:
        """The token and where it was found, or None. Blocks on a small file.

        :raises TokenUnreadable: the file cannot be read, or what stands there cannot be a token.
        """
        if self._exported is not None:
            if not self._exported_is_sound:
                raise TokenUnreadable(f"GITHUB_TOKEN holds {_UNSOUND}")
            return self._exported, TokenOrigin.ENVIRONMENT
        origin = TokenOrigin.DOTENV if self._file is None else TokenOrigin.FILE
        try:
            value = env_file.values().get("GITHUB_TOKEN", "") if self._file is None else self._file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise TokenUnreadable(f"{origin} cannot be read ({type(error).__name__}); fix it.") from None
        except env_file.NotTrusted as error:
            raise TokenUnreadable(f"{origin} {error}.") from None
        value = value.strip()
        if not value:
            return None
        if not is_sound(value):
            raise TokenUnreadable(f"{origin} holds {_UNSOUND}")
        return Secret(value), origin
