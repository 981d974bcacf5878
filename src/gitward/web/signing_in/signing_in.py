"""Sign-in: from a cookie to a person, and from a link or an issuer's answer to a cookie."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import HTMLResponse

from gitward.identity import credentials, sign_ins
from gitward.identity.authorization import Holder, is_operator
from gitward.identity.code_flow import CodeFlow, Grant
from gitward.identity.credentials import Tokens
from gitward.identity.keys import LOCAL_ISSUER
from gitward.identity.sign_ins import SignIn
from gitward.sessions import audit_log
from gitward.sessions.audit_log import Act, Refusals
from gitward.sessions.model import Owner, now
from gitward.store.database import Database, Transaction
from gitward.web.signing_in import cookies, pages
from gitward.web.signing_in.hosts import Hosts
from gitward.web.signing_in.person import NotSignedIn, Person
from gitward.web.signing_in.renewal import AHEAD, Renewal

DEFAULT_LIFETIME = timedelta(hours=12)


class SigningIn:
    """What the routes of sign-in share.

    :param operators: whose sign-ins are operators'.
    :param lifetime: after which a person signs in again, whatever the issuer says.
    :param flow: the sign-in at the issuer, if there is one.
    :param is_local: whether links sign in.
    """

    def __init__(
        self,
        database: Database,
        *,
        hosts: Hosts,
        operators: Sequence[Holder] = (),
        lifetime: timedelta = DEFAULT_LIFETIME,
        flow: CodeFlow | None = None,
        is_local: bool = True,
    ) -> None:
        self.database = database
        self.hosts = hosts
        self.lifetime = lifetime
        self.flow = flow
        self.is_local = is_local
        self.style: str | None = None  # the address of the pages' style sheet
        self.refusals = Refusals(database)
        self._operators = operators
        self._renewal = None if flow is None else Renewal(database, flow)

    async def stop(self) -> None:
        if self._renewal is not None:
            await self._renewal.stop()

    def page(
        self, title: str, *paragraphs: str, status: int = 200, headers: dict[str, str] | None = None
    ) -> HTMLResponse:
        """One of the few pages of sign-in itself; see `pages`."""
        return pages.page(title, *paragraphs, style=self.style, status=status, headers=headers)

    async def person(self, request: Request) -> Person:
        """:raises NotSignedIn: the request has no cookie of a sign-in that lasts."""
        secret = self.secret_of(request)
        if secret is None:
            raise NotSignedIn
        at = now()
        found = await self.database.read(lambda tx: sign_ins.find(tx, secret, at))
        if found is not None and found.expires_at <= at + AHEAD and self._renewal and found.sealed:
            found = await self._renewal.renewed(secret, found)
        if found is None or found.expires_at <= at or self._is_foreign(found):
            raise NotSignedIn
        return self._person(secret, found)

    def _is_foreign(self, found: SignIn) -> bool:
        """The operator has changed the settings since: another issuer, or none."""
        return found.owner.issuer != (self.flow.issuer.url if self.flow else LOCAL_ISSUER)

    def secret_of(self, request: Request) -> str | None:
        return cookies.read(request, cookies.SESSION, secure=self.hosts.is_secure(request))

    def _person(self, secret: str, found: SignIn) -> Person:
        return Person(
            owner=found.owner,
            claims=found.claims,
            operator=is_operator(self._operators, found.claims),
            csrf_token=sign_ins.derived(secret, "csrf"),
            expires_at=found.expires_at,
        )

    async def take_link(self, link: str, *, instead_of: str | None) -> str | None:
        """The secret of a new cookie; None: the link is used, too old, or none of ours.

        :param instead_of: the secret of a sign-in that ends with this one.
        """
        at = now()

        def take(tx: Transaction) -> str | None:
            if not self.is_local:
                return None
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
            audit_log.note(tx, Act.SIGN_IN, owner, by="link")
            return secret

        return await self.database.write(take)

    async def begin(self, grant: Grant, *, instead_of: str | None) -> str:
        """The secret of a new cookie, for whom the issuer named.

        :param instead_of: as of `take_link`.
        """
        at = now()

        def begin(tx: Transaction) -> str:
            if instead_of is not None:
                sign_ins.end(tx, instead_of)
            secret = sign_ins.new_secret()
            sign_ins.begin(
                tx,
                secret,
                owner=grant.owner,
                claims=grant.claims,
                expires_at=datetime.fromtimestamp(grant.expires_at, UTC),
                ends_at=at + self.lifetime,
                sealed=credentials.seal(grant.tokens, secret),
            )
            audit_log.note(tx, Act.SIGN_IN, grant.owner, by="issuer")
            return secret

        return await self.database.write(begin)

    async def end(self, secret: str) -> Tokens | None:
        """The issuer's tokens, if the sign-in had some."""

        def end(tx: Transaction) -> SignIn | None:
            found = sign_ins.find(tx, secret, now())
            if sign_ins.end(tx, secret) and found is not None:
                audit_log.note(tx, Act.SIGN_OUT, found.owner)
            return found

        found = await self.database.write(end)
        return None if found is None else credentials.unseal(found.sealed, secret)
