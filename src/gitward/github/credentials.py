"""Where the token comes from, and the few forms in which it leaves its seal."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections import deque

from gitward.errors import Reason, RunFailure
from gitward.secrets import Secret, reveal
from gitward.settings import TokenReader, TokenUnreadable
from gitward.telemetry.logs import know_secrets

log = logging.getLogger(__name__)

_REMEMBERED = 8  # tokens that the log masks after their rotation
MISSING = "GITHUB_TOKEN environment variable not set"


class TokenSource:
    """Gives the operator's token to a run that begins."""

    def __init__(self, reader: TokenReader) -> None:
        self._reader = reader
        self._taken: deque[Secret] = deque(maxlen=_REMEMBERED)

    async def take(self, *, level: int = logging.DEBUG) -> Secret:
        """The token of this moment. `level`: of the two lines in the log; a run tells them once.

        :raises RunFailure: `token_missing`.
        """
        log.log(level, "Reading GitHub token from environment variable")
        try:
            found = await asyncio.to_thread(self._reader.read)
        except TokenUnreadable as error:
            raise RunFailure(Reason.TOKEN_MISSING, str(error)) from None
        if found is None:
            raise RunFailure(Reason.TOKEN_MISSING, MISSING)
        token, origin = found
        if token not in self._taken:  # a run that began before a rotation still uses the token of then
            self._taken.append(token)
            know_secrets(self._taken)
        log.log(level, "Successfully read GitHub token from %s", origin)
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
