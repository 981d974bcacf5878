"""`Idempotency-Key`: a repeated POST gets the first answer, in the same transaction as what it creates."""

from __future__ import annotations

import hashlib
from typing import Any

import sqlalchemy as sa

from gitward.errors import IdempotencyKeyReused
from gitward.sessions.model import Owner, now
from gitward.sessions.retention import KEY_LIFETIME
from gitward.store import schema
from gitward.store.database import Transaction

_keys = schema.idempotency_keys


async def recall(tx: Transaction, owner: Owner, key: str, *, method: str, body: bytes) -> dict[str, Any] | None:
    """The first answer to this key, or None.

    :raises IdempotencyKeyReused: the key came with another request.
    """
    if tx.connection.dialect.name == "postgresql":  # of two at once, the second waits for the first one's answer
        number = int.from_bytes(hashlib.sha256(repr((owner, key)).encode()).digest()[:8], signed=True)
        await tx.execute(sa.select(sa.func.pg_advisory_xact_lock(number)))
    await tx.execute(sa.delete(_keys).where(*_mine(owner, key), _keys.c.created_at < now() - KEY_LIFETIME))
    row = (await tx.execute(sa.select(_keys).where(*_mine(owner, key)))).first()
    if row is None:
        return None
    if row.fingerprint != _fingerprint(method, body):
        raise IdempotencyKeyReused("This Idempotency-Key was used with another body; use a new key.")
    answer: dict[str, Any] = row.answer
    return answer


async def remember(
    tx: Transaction, owner: Owner, key: str, *, method: str, body: bytes, answer: dict[str, Any]
) -> None:
    row = {"issuer": owner.issuer, "subject": owner.subject, "key": key, "created_at": now()}
    await tx.execute(sa.insert(_keys).values(**row, fingerprint=_fingerprint(method, body), answer=answer))


def _mine(owner: Owner, key: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (_keys.c.issuer == owner.issuer, _keys.c.subject == owner.subject, _keys.c.key == key)


def _fingerprint(method: str, body: bytes) -> str:
    return hashlib.sha256(method.encode() + b"\n" + body).hexdigest()
