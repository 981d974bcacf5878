"""`Idempotency-Key`: a repeated POST gets the first answer, in the same transaction as what it creates."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from gitward.errors import IdempotencyKeyReused, RequestError
from gitward.sessions.model import Owner, now
from gitward.sessions.retention import KEY_LIFETIME
from gitward.store import schema, upsert
from gitward.store.database import Transaction

Json = dict[str, Any]
_keys = schema.idempotency_keys


class Repeated(Exception):
    """The request was answered before. It leaves the transaction, so that what was done anew is undone."""

    def __init__(self, answer: Json) -> None:
        super().__init__("the request was answered before")
        self.answer = answer


def once(
    tx: Transaction, owner: Owner, key: str, *, method: str, body: bytes, do: Callable[[Transaction], Json]
) -> Json:
    """What `do` answers, noted for whoever sends the key again: one statement more, where nobody has sent it before.

    Of two at once, the second waits for the first one's answer.

    :raises Repeated: with what `do` answered when the key came first.
    :raises IdempotencyKeyReused: the key came with another request.
    """
    mine = {"issuer": owner.issuer, "subject": owner.subject, "key": key}
    fingerprint = _fingerprint(method, body)
    try:
        answer = do(tx)
    except RequestError:  # such as a branch that is taken: by the first request's own session
        _raise_if_known(tx, mine, fingerprint)
        raise
    new = {"fingerprint": fingerprint, "created_at": now(), "answer": answer}
    insert = upsert.insert(tx, _keys).values(**mine, **new)
    insert = insert.on_conflict_do_update(
        index_elements=list(mine), set_=new, where=_keys.c.created_at < now() - KEY_LIFETIME
    )
    if tx.execute(insert.returning(_keys.c.key)).first() is None:
        _raise_if_known(tx, mine, fingerprint)
    return answer


def _raise_if_known(tx: Transaction, mine: dict[str, str], fingerprint: str) -> None:
    """:raises Repeated, IdempotencyKeyReused: the key came before, within its lifetime."""
    query = sa.select(_keys.c.fingerprint, _keys.c.answer).where(
        *(_keys.c[name] == value for name, value in mine.items()), _keys.c.created_at >= now() - KEY_LIFETIME
    )
    row = tx.execute(query).first()
    if row is None:
        return
    if row.fingerprint != fingerprint:
        raise IdempotencyKeyReused("This Idempotency-Key was used with another body; use a new key.")
    raise Repeated(row.answer)


def _fingerprint(method: str, body: bytes) -> str:
    return hashlib.sha256(method.encode() + b"\n" + body).hexdigest()
