"""Tokens of runs: what a run needs, what it gets, and where tokens come from."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from gitward.errors import Reason, RunFailure
from gitward.github.credentials import kind_of
from gitward.github.failures import RENEW
from gitward.github.retries import Retries
from gitward.secrets import Secret
from gitward.settings.token_reader import TokenOrigin, TokenReader, TokenUnreadable
from gitward.telemetry.logs import mask_secrets

log = logging.getLogger(__name__)

_REMEMBERED = 64  # tokens that the log masks after their end: a run may still use the one of its beginning
_SPREADING_SECONDS = 5.0  # octokit/auth-app.js waits as long
MISSING = "GITHUB_TOKEN environment variable not set"


@dataclass(frozen=True, kw_only=True)
class Access:
    """What a token is wanted for."""

    repository: str  # "owner/name": written to
    submodules: tuple[str, ...] = ()  # further ones, which are only read
    workflows: bool = False  # whether pushes may change .github/workflows/


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who a token acts as, and how its commits are signed with a name."""

    login: str  # "octocat", "my-app[bot]"
    name: str
    email: str


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token that a run was given; prints without its secret."""

    secret: Secret
    kind: str  # in words: "a classic token"
    holder: str  # whose rate limit it draws on; holds nothing of the token
    renewable: bool  # whether another one may take its place while a run goes on
    renew: str = RENEW  # what a person does when GitHub does not take it
    renew_at: float | None = None  # of time.monotonic(): when a successor can be had
    ends_at: float | None = None  # of time.monotonic()
    made_at: float | None = None  # of time.monotonic(): when GitHub made it for us just now
    bot: Identity | None = None  # who it acts as, when the token cannot ask
    notices: tuple[str, ...] = ()  # what it does not reach of what was wanted
    granted: Mapping[str, str] | None = None  # the permissions of an App's installation; None: of no App

    @property
    def is_new(self) -> bool:
        """Whether GitHub made it so shortly ago that some of its machines may not know it yet."""
        return self.made_at is not None and time.monotonic() - self.made_at < _SPREADING_SECONDS


class TokenSource(Protocol):
    """Gives tokens to runs."""

    async def take(self, access: Access, *, retries: Retries | None = None, level: int = logging.DEBUG) -> Token:
        """The token of this moment, good for a while.

        :param level: of the lines in the log; a run tells them once.
        :raises RunFailure: there is none, with the reason.
        """
        ...

    def distrust(self, token: Token) -> None:
        """GitHub does not take this one any longer: it is not given again if another can be had."""
        ...


class MaskedTokens:
    """What the log masks: the tokens of now and the last ones before."""

    def __init__(self) -> None:
        self._taken: deque[Secret] = deque(maxlen=_REMEMBERED)

    def add(self, secret: Secret) -> bool:
        """Whether it is a new one."""
        if secret in self._taken:
            return False
        self._taken.append(secret)
        mask_secrets(self._taken)
        return True


class OperatorToken:
    """The operator's own token, from the environment, a file or `.env`."""

    def __init__(self, reader: TokenReader) -> None:
        self._reader = reader
        self._masked = MaskedTokens()
        self._count = 0

    async def take(self, _access: Access, *, retries: Retries | None = None, level: int = logging.DEBUG) -> Token:
        del retries  # nobody is asked
        log.log(level, "Reading GitHub token from environment variable")
        try:
            found = await asyncio.to_thread(self._reader.read)
        except TokenUnreadable as error:
            raise RunFailure(Reason.TOKEN_MISSING, str(error)) from None
        if found is None:
            raise RunFailure(Reason.TOKEN_MISSING, MISSING)
        secret, origin = found
        if self._masked.add(secret):
            self._count += 1
        kind = kind_of(secret)
        log.log(level, "Successfully read GitHub token from %s (%s)", origin, kind)
        return Token(
            secret=secret,
            kind=kind,
            holder=f"token {self._count}",
            renewable=origin is not TokenOrigin.ENVIRONMENT,
        )

    def distrust(self, token: Token) -> None:
        """It is read again for every call anyway."""
