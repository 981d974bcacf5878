"""Sign-ins of browsers, kept on the server: a cookie holds a random secret, the database its digest.

Whoever reads the database can neither make a cookie of it nor open the issuer's tokens that are sealed in it; whoever
ends a sign-in ends it for every process at once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from gitward.sessions.model import Owner, now
from gitward.store import schema
from gitward.store.database import Transaction

LINK_LIFETIME = timedelta(minutes=10)
MOST_SIGN_INS = 50  # of one subject; the oldest goes first
MOST_LINKS = 100
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
_sign_ins, _links = schema.sign_ins, schema.sign_in_links


@dataclass(frozen=True, kw_only=True)
class SignIn:
    """A browser that is signed in."""

    digest: str
    owner: Owner
    claims: Mapping[str, Any]  # as the issuer gave them; they count until `expires_at`
    sealed: bytes | None  # the issuer's tokens
    expires_at: datetime
    ends_at: datetime  # whatever the issuer says


def new_secret() -> str:
    return secrets.token_urlsafe(32)


def is_secret(value: str) -> bool:
    """Whether it has the form of one; others need not be looked up."""
    return _SECRET.fullmatch(value) is not None


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def derived(secret: str, purpose: str) -> str:
    """Another secret, made of this one, which does not tell it."""
    mac = hmac.new(secret.encode(), purpose.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def begin(
    tx: Transaction,
    secret: str,
    *,
    owner: Owner,
    claims: Mapping[str, Any],
    expires_at: datetime,
    ends_at: datetime,
    sealed: bytes | None = None,
) -> None:
    tx.execute(
        sa.insert(_sign_ins).values(
            digest=digest_of(secret),
            issuer=owner.issuer,
            subject=owner.subject,
            claims=dict(claims),
            sealed=sealed,
            created_at=now(),
            expires_at=min(expires_at, ends_at),
            ends_at=ends_at,
        )
    )
    _leave_room(tx, owner)


def _leave_room(tx: Transaction, owner: Owner) -> None:
    same = (_sign_ins.c.issuer == owner.issuer, _sign_ins.c.subject == owner.subject)
    newest = sa.select(_sign_ins.c.digest).where(*same).order_by(_sign_ins.c.created_at.desc()).limit(MOST_SIGN_INS)
    kept = tx.execute(newest).scalars().all()
    if len(kept) == MOST_SIGN_INS:
        tx.execute(sa.delete(_sign_ins).where(*same, _sign_ins.c.digest.not_in(kept)))


def find(tx: Transaction, secret: str, at: datetime) -> SignIn | None:
    """The sign-in of this cookie; its claims may have expired."""
    row = tx.execute(
        sa.select(_sign_ins).where(_sign_ins.c.digest == digest_of(secret), _sign_ins.c.ends_at > at)
    ).one_or_none()
    if row is None:
        return None
    return SignIn(
        digest=row.digest,
        owner=Owner(issuer=row.issuer, subject=row.subject),
        claims=row.claims,
        sealed=row.sealed,
        expires_at=row.expires_at,
        ends_at=row.ends_at,
    )


def end(tx: Transaction, secret: str) -> bool:
    """Whether there was one."""
    return tx.execute(sa.delete(_sign_ins).where(_sign_ins.c.digest == digest_of(secret))).rowcount > 0


def offer_link(tx: Transaction, subject: str, at: datetime) -> str:
    """The secret of a new link, which signs in as this subject, once."""
    secret = new_secret()
    tx.execute(sa.delete(_links).where(_links.c.expires_at <= at))
    newest = sa.select(_links.c.digest).order_by(_links.c.expires_at.desc()).limit(MOST_LINKS - 1)
    tx.execute(sa.delete(_links).where(_links.c.digest.not_in(tx.execute(newest).scalars().all())))
    values = {"digest": digest_of(secret), "subject": subject, "expires_at": at + LINK_LIFETIME}
    tx.execute(sa.insert(_links).values(**values))
    return secret


def take_link(tx: Transaction, secret: str, at: datetime) -> str | None:
    """The subject of a link that nobody has used: it is used now. Of two at once, one gets it."""
    taken = (
        sa.delete(_links).where(_links.c.digest == digest_of(secret)).returning(_links.c.subject, _links.c.expires_at)
    )
    row = tx.execute(taken).one_or_none()
    return row.subject if row is not None and row.expires_at > at else None
