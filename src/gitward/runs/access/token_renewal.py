"""Keeps the broker's token good for as long as a run goes on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator

from gitward.broker import OpenGrant
from gitward.errors import GitwardError
from gitward.github.tokens import Token
from gitward.runs.attempt import Attempt
from gitward.runs.commands.github_calls import next_token, token_access
from gitward.telemetry.redaction import Redactor

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0  # how often it is looked whether the operator replaced the token
_REST_SECONDS = 1.0  # between two looks, whoever asks for them


class TokenRenewal:
    """One run's token while its grant is open."""

    def __init__(self, attempt: Attempt, token: Token, redactor: Redactor) -> None:
        self.token = token
        self._attempt = attempt
        self._redactor = redactor
        self._rejected = asyncio.Event()
        self._rest_until = 0.0  # of time.monotonic()
        self._told = False  # whether it was told that the token is not taken

    def rejected(self) -> None:
        """The broker was told by GitHub that it does not take the token."""
        self._rejected.set()

    @contextlib.asynccontextmanager
    async def kept(self, grant: OpenGrant) -> AsyncIterator[None]:
        """Inside this block the broker is given every new token."""
        watching = asyncio.create_task(self._watch(grant), name=f"token of {self._attempt.claim.run.id}")
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.wait([watching])

    async def _watch(self, grant: OpenGrant) -> None:
        while True:
            await self._next()
            try:
                await self.renew(grant)
            except GitwardError as error:  # the token of now may still be good; the next look may find another
                log.warning("Run %s: no new token: %s", self._attempt.claim.run.id, error)
                await asyncio.sleep(LOOK_SECONDS)
            except Exception:  # the edge of a task that nobody awaits: the next look may do better
                log.exception("Run %s: could not look for a new token", self._attempt.claim.run.id)

    async def _next(self) -> None:
        """Waits until it is time to look."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._pause()):
                await self._rejected.wait()
        rest = self._rest_until - time.monotonic()  # a sandbox cannot make us ask without end
        if self._rejected.is_set() and rest > 0:
            await asyncio.sleep(rest)

    def _pause(self) -> float:
        due = LOOK_SECONDS if self.token.renew_at is None else self.token.renew_at - time.monotonic()
        return max(_REST_SECONDS, min(LOOK_SECONDS, due))

    async def renew(self, grant: OpenGrant) -> None:
        """:raises GitwardError: no token can be had, or the broker is gone."""
        if self._rejected.is_set():
            self._rejected.clear()
            self._rest_until = time.monotonic() + _REST_SECONDS
            fresh = await next_token(self._attempt, self.token)
            if fresh is None and not self._told:
                self._told = True
                await self._attempt.notice(f"GitHub answered 401 to {self.token.kind}: {self.token.renew}.")
        else:
            fresh = await self._attempt.parts.tokens.take(token_access(self._attempt))
        if fresh is None or fresh.secret == self.token.secret:
            return
        self._redactor.add(fresh.secret)
        await grant.refresh(fresh.secret)
        self.token, self._told = fresh, False
        log.info("Run %s: the broker has a new token (%s)", self._attempt.claim.run.id, fresh.kind)
