"""Where the token comes from, and the few forms in which it leaves its seal."""

from __future__ import annotations

import asyncio
import base64
import logging

from gitward.errors import Reason, RunFailure
from gitward.secrets import Secret, reveal
from gitward.settings import TokenReader
from gitward.telemetry.logs import know_secrets

log = logging.getLogger(__name__)

MISSING = "GITHUB_TOKEN environment variable not set"


class TokenSource:
    """Gives the operator's token to a run that begins."""

    def __init__(self, reader: TokenReader) -> None:
        self._reader = reader

    async def take(self) -> Secret:
        """The token of this moment.

        :raises RunFailure: `token_missing`.
        """
        log.info("Reading GitHub token from environment variable")
        try:
            found = await asyncio.to_thread(self._reader.read)
        except (OSError, UnicodeDecodeError) as error:
            name = type(error).__name__
            raise RunFailure(Reason.TOKEN_MISSING, f"GITHUB_TOKEN_FILE cannot be read ({name}); mend it.") from None
        if found is None:
            raise RunFailure(Reason.TOKEN_MISSING, MISSING)
        token, origin = found
        know_secrets([token])
        log.info("Successfully read GitHub token from %s", origin)
        return token


def authorization(token: Secret) -> dict[str, str]:
    """The header for the REST API."""
    return {"Authorization": f"Bearer {reveal(token)}"}


def git_authorization(token: Secret) -> dict[str, str]:
    """The header for git over HTTP; GitHub takes any user name beside a token."""
    pair = base64.b64encode(f"x-access-token:{reveal(token)}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def login_input(token: Secret) -> bytes:
    """What `gh auth login --with-token` reads on standard input, in `login` mode only."""
    return reveal(token).encode() + b"\n"
