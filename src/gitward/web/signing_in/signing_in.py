"""Sign-in: from a cookie to a person, and from a link or an issuer's answer to a cookie."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from starlette.requests import Request

from gitward.identity import sign_ins
from gitward.identity.authorization import Holder
from gitward.identity.keys import LOCAL_ISSUER
from gitward.identity.sign_ins import SignIn
from gitward.sessions.model import Owner, now
from gitward.store.database import Database, Transaction
from gitward.web.signing_in import cookies
from gitward.web.signing_in.hosts import Hosts
from gitward.web.signing_in.person import NotSignedIn, Person

DEFAULT_LIFETIME = timedelta(hours=12)


class SigningIn:
    """What the routes of sign-in share.

    :param operators: whose sign-ins are operators'.
    :param lifetime: after which a person signs in again, whatever the issuer says.
    """

    def __init__(
        self,
        database: Database,
        *,
        hosts: Hosts,
        operators: Sequence[Holder] = (),
        lifetime: timedelta = DEFAULT_LIFETIME,
    ) -> None:
        self.database = database
        self.hosts = hosts
        self.lifetime = lifetime
        self._operators = operators

    async def person(self, request: Request) -> Person:
        """:raises NotSignedIn: the request has no cookie of a sign-in that lasts."""
        secret = self.secret_of(request)
        if secret is None:
            raise NotSignedIn
        at = now()
        found = await self.database.read(lambda tx: sign_ins.find(tx, secret, at))
        if found is None or found.expires_at <= at:
            raise NotSignedIn
        return self._person(secret, found)

    def secret_of(self, request: Request) -> str | None:
        return cookies.read(request, cookies.SESSION, secure=self.hosts.is_secure(request))

    def _person(self, secret: str, found: SignIn) -> Person:
        return Person(
            owner=found.owner,
            claims=found.claims,
            operator=any(holder.is_one(found.claims) for holder in self._operators),
            csrf_token=sign_ins.derived(secret, "csrf"),
            expires_at=found.expires_at,
        )

    async def take_link(self, link: str, *, instead_of: str | None) -> str | None:
        """The secret of a new cookie; None: the link is used, too old, or none of ours.

        :param instead_of: the secret of a sign-in that ends with this one.
        """
        at = now()

        def take(tx: Transaction) -> str | None:
            subject = sign_ins.take_link(tx, link, at)
            if subject is None:
                return None
            if instead_of is not None:
                sign_ins.end(tx, instead_of)
            secret = sign_ins.new_secret()
            owner = Owner(issuer=LOCAL_ISSUER, subject=subject)
            claims = {"iss": LOCAL_ISSUER, "sub": subject}
            ends_at = at + self.lifetime
            sign_ins.begin(tx, secret, owner=owner, claims=claims, expires_at=ends_at, ends_at=ends_at)
            return secret

        return await self.database.write(take)

    async def end(self, secret: str) -> None:
        await self.database.write(lambda tx: sign_ins.end(tx, secret))
