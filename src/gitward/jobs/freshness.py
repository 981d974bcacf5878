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
from gitward.jobs.asking import access_of, successor
from gitward.jobs.attempt import Attempt
from gitward.telemetry.redaction import Redactor

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0  # how often it is looked whether the operator replaced the token
_REST_SECONDS = 0.5  # after each look


class Freshness:
    """One run's token while its grant is open."""

    def __init__(self, attempt: Attempt, token: Token, redactor: Redactor) -> None:
        self.token = token
        self._attempt = attempt
        self._redactor = redactor
        self._rejected = asyncio.Event()

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
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await self._rejected.wait()
            try:
                await self.renew(grant)
            except GitwardError as error:  # the token of now may still be good; the next look may find another
                log.warning("Run %s: no new token: %s", self._attempt.claim.run.id, error)
            except Exception:  # the edge of a task that nobody awaits: the next look may do better
                log.exception("Run %s: the look for a new token failed", self._attempt.claim.run.id)
            await asyncio.sleep(_REST_SECONDS)  # a sandbox cannot make us ask without end

    def _pause(self) -> float:
        due = LOOK_SECONDS if self.token.renew_at is None else self.token.renew_at - time.monotonic()
        return max(0.0, min(LOOK_SECONDS, due))

    async def renew(self, grant: OpenGrant) -> None:
        """:raises GitwardError: no token can be had, or the broker is gone."""
        if self._rejected.is_set():
            self._rejected.clear()
            fresh = await successor(self._attempt, self.token)
        else:
            fresh = await self._attempt.parts.tokens.take(access_of(self._attempt))
        if fresh is None or fresh.secret == self.token.secret:
            return
        self._redactor.add(fresh.secret)
        await grant.refresh(fresh.secret)
        self.token = fresh
        log.info("Run %s: the broker has %s anew", self._attempt.claim.run.id, fresh.kind)
