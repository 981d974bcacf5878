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

LOOK_SECONDS = 10.0  # how often it is looked whether the operator replaced the token
_SOON_SECONDS = 1.0  # between two tries when one did not succeed


class Freshness:
    """One run's token while its grant is open. `rejected` tells it that GitHub does not take the token."""

    def __init__(self, attempt: Attempt, grant: OpenGrant, token: Token, redactor: Redactor) -> None:
        self.token = token
        self._attempt = attempt
        self._grant = grant
        self._redactor = redactor
        self._rejected = asyncio.Event()

    def rejected(self) -> None:
        self._rejected.set()

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Inside this block the broker is given every new token."""
        watching = asyncio.create_task(self._watch(), name=f"token of {self._attempt.claim.run.id}")
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.wait([watching])

    async def _watch(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._pause()):
                    await self._rejected.wait()
            except TimeoutError:
                pass
            try:
                await self._renew()
            except GitwardError as error:  # the token of now may still be good; the next look may find another
                log.warning("Run %s: no new token: %s", self._attempt.claim.run.id, error)
                await asyncio.sleep(_SOON_SECONDS)

    def _pause(self) -> float:
        due = LOOK_SECONDS if self.token.renew_at is None else self.token.renew_at - time.monotonic()
        return min(LOOK_SECONDS, max(_SOON_SECONDS / 10, due))

    async def _renew(self) -> None:
        if self._rejected.is_set():
            self._rejected.clear()
            fresh = await successor(self._attempt, self.token)
        else:
            fresh = await self._attempt.parts.tokens.take(access_of(self._attempt))
        if fresh is None or fresh.secret == self.token.secret:
            return
        self._redactor.add(fresh.secret)
        await self._grant.refresh(fresh.secret)
        self.token = fresh
        log.info("Run %s: the broker has %s anew", self._attempt.claim.run.id, fresh.kind)
