"""`Idempotency-Key`: a repeated POST gets the first answer, in the same transaction as what it creates."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from gitward.errors import IdempotencyKeyReused
from gitward.sessions.model import Owner, now
from gitward.sessions.retention import KEY_LIFETIME
from gitward.store import schema, upsert
from gitward.store.database import Transaction

Json = dict[str, Any]
_keys = schema.idempotency_keys


def once(
    tx: Transaction, owner: Owner, key: str, *, method: str, body: bytes, do: Callable[[Transaction], Json]
) -> Json:
    """What `do` answers, or what it answered when the key came first.

    Of two at once, the second waits for the first one's answer.

    :raises IdempotencyKeyReused: the key came with another request.
    """
    mine = {"issuer": owner.issuer, "subject": owner.subject, "key": key}
    new = {"fingerprint": _fingerprint(method, body), "created_at": now()}
    insert = upsert.insert(tx, _keys).values(**mine, **new, answer={})
    insert = insert.on_conflict_do_update(index_elements=list(mine), set_={"key": key})
    row = tx.execute(insert.returning(_keys.c.fingerprint, _keys.c.answer, _keys.c.created_at)).one()
    if row.answer and row.created_at >= now() - KEY_LIFETIME:
        if row.fingerprint != new["fingerprint"]:
            raise IdempotencyKeyReused("This Idempotency-Key was used with another body; use a new key.")
        known: Json = row.answer
        return known
    answer = do(tx)
    this = (_keys.c[name] == value for name, value in mine.items())
    tx.execute(sa.update(_keys).where(*this).values(**new, answer=answer))
    return answer


def _fingerprint(method: str, body: bytes) -> str:
    return hashlib.sha256(method.encode() + b"\n" + body).hexdigest()
