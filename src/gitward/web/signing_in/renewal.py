"""Renews a sign-in by its refresh token: once, however many requests of a page and processes want it.

Issuers that rotate refresh tokens end everything when one is used twice. So the row is claimed before the issuer is
asked, and those who come meanwhile go on with what they have, or wait.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from functools import partial

import sqlalchemy as sa

from gitward.errors import Unavailable
from gitward.identity import credentials, sign_ins
from gitward.identity.code_flow import CodeFlow, Grant, Refused
from gitward.identity.sign_ins import SignIn
from gitward.sessions import audit_log
from gitward.sessions.audit_log import Act
from gitward.sessions.model import now
from gitward.store import schema
from gitward.store.database import Database, Transaction

AHEAD = timedelta(seconds=30)  # before the claims expire; a request in that time need not wait
CLAIM = timedelta(seconds=30)  # for which one process has the row; longer than the issuer's answers may take
PAUSE = timedelta(seconds=5)  # until a silent issuer is asked again
WAIT_SECONDS, LOOK_SECONDS = 12.0, 0.2  # for another process
_rows = schema.sign_ins


class Renewal:
    """`stop` waits for the questions under way: their answers hold the next refresh token."""

    def __init__(self, database: Database, flow: CodeFlow) -> None:
        self._database = database
        self._flow = flow
        self._under_way: dict[str, asyncio.Task[SignIn | None]] = {}

    async def stop(self) -> None:
        if self._under_way:
            await asyncio.wait(self._under_way.values())

    async def renewed(self, secret: str, found: SignIn) -> SignIn | None:
        """The sign-in with claims that count; None: it has ended.

        :raises Unavailable: the issuer does not answer, and the claims have expired.
        """
        task = self._under_way.get(found.digest)
        if task is None:
            task = asyncio.create_task(self._renew(secret, found), name="renewal of a sign-in")
            self._under_way[found.digest] = task
            task.add_done_callback(lambda done: self._forget(found.digest, done))
        if found.expires_at > now():
            return found
        return await asyncio.shield(task)

    def _forget(self, digest: str, done: asyncio.Task[SignIn | None]) -> None:
        self._under_way.pop(digest, None)
        if not done.cancelled():
            done.exception()  # nobody may have waited; who did has it too

    async def _renew(self, secret: str, found: SignIn) -> SignIn | None:
        began = time.monotonic()
        while True:
            if await self._database.write(lambda tx: _claim(tx, found, now())):
                return await self._ask(secret, found)
            seen = await self._database.read(lambda tx: sign_ins.find(tx, secret, now()))
            if seen is None or seen.expires_at != found.expires_at:
                return seen
            if time.monotonic() - began > WAIT_SECONDS:
                raise Unavailable("The sign-in is being renewed and the issuer does not answer; try again in a moment.")
            await asyncio.sleep(LOOK_SECONDS)

    async def _ask(self, secret: str, found: SignIn) -> SignIn | None:
        tokens = credentials.unseal(found.sealed, secret)
        try:
            if tokens is None:
                raise Refused("The sign-in has expired.")
            grant = await self._flow.renew(found.owner, tokens, found.claims)
        except Refused as error:
            await self._database.write(partial(_end, secret, found, str(error)))
            return None
        except Unavailable:
            await self._database.write(lambda tx: _release(tx, found))
            raise
        return await self._database.write(lambda tx: _keep(tx, secret, found, grant))


def _claim(tx: Transaction, found: SignIn, at: datetime) -> bool:
    free = sa.or_(_rows.c.renewing_until.is_(None), _rows.c.renewing_until <= at)
    same = (_rows.c.digest == found.digest, _rows.c.expires_at == found.expires_at)
    return tx.execute(sa.update(_rows).where(*same, free).values(renewing_until=at + CLAIM)).rowcount > 0


def _end(secret: str, found: SignIn, reason: str, tx: Transaction) -> None:
    sign_ins.end(tx, secret)
    audit_log.note(tx, Act.SIGN_IN_RENEWAL_REFUSED, found.owner, reason=reason)


def _release(tx: Transaction, found: SignIn) -> None:
    tx.execute(sa.update(_rows).where(_rows.c.digest == found.digest).values(renewing_until=now() + PAUSE))


def _keep(tx: Transaction, secret: str, found: SignIn, grant: Grant) -> SignIn | None:
    expires_at = min(datetime.fromtimestamp(grant.expires_at, UTC), found.ends_at)
    values = {
        "claims": dict(grant.claims),
        "sealed": credentials.seal(grant.tokens, secret),
        "expires_at": expires_at,
        "renewing_until": None,
    }
    tx.execute(sa.update(_rows).where(_rows.c.digest == found.digest).values(**values))
    return sign_ins.find(tx, secret, now())
