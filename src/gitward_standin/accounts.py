"""Who exists in the stand-in, and what each token may do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import IntEnum, StrEnum

APP_LOGIN = "standin-app[bot]"  # who an App installation's token acts as


class Role(IntEnum):
    """What a user may do in a repository; a higher role includes the lower ones."""

    PULL = 1
    TRIAGE = 2
    PUSH = 3
    MAINTAIN = 4
    ADMIN = 5


class TokenKind(StrEnum):
    """GitHub's kinds of token, as far as its answers differ by them."""

    CLASSIC = "classic"  # ghp_…: scopes; reaches all that its owner reaches
    FINE_GRAINED = "fine_grained"  # github_pat_…: permissions, on listed repositories
    APP = "app"  # ghs_…: an installation of a GitHub App; no user behind it


@dataclass(frozen=True, kw_only=True)
class Token:
    """What a token may do. Its value is given beside it and is never part of it."""

    login: str | None  # the owner; None: an App installation
    kind: TokenKind = TokenKind.CLASSIC
    scopes: tuple[str, ...] = ("repo", "user:email")  # classic only: the header X-OAuth-Scopes
    expires_at: datetime | None = None  # aware; when it is past, the token is 401 Bad credentials
    repositories: tuple[str, ...] | None = None  # the only ones it reaches; None: all that its owner can
    push: bool = True  # False: contents and pull requests are read-only for this token
    sso_required: bool = False  # True: not authorized for SAML single sign-on; every repository is 403
    bot: str = APP_LOGIN  # App only: who it acts as
    permissions: Mapping[str, str] | None = None  # App only: name to read, write or admin; None: every one

    def __post_init__(self) -> None:
        if (self.login is None) != (self.kind is TokenKind.APP):
            raise ValueError("an App token has no login, every other token has one")

    def may(self, permission: str, level: str) -> bool:
        """Whether an App's token has this permission; the other kinds are bounded by other means and pass."""
        if self.permissions is None:
            return True
        held = self.permissions.get(permission, "")
        return held in ("write", "admin") or held == level

    def has_scope(self, *names: str) -> bool:
        """Whether a classic token has one of these scopes; the other kinds have no scopes and pass."""
        return self.kind is not TokenKind.CLASSIC or not set(names).isdisjoint(self.scopes)


@dataclass(frozen=True, kw_only=True)
class Account:
    """A user, an organization, or an App's bot."""

    login: str
    id: int
    type: str = "User"  # User, Organization or Bot
    name: str | None = None
    email: str | None = None
    email_public: bool = False  # False: kept private, only GET /user/emails tells it
    blocks_private_email: bool = False  # "Block command line pushes that expose my email"
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, kw_only=True)
class Team:
    """A team of an organization."""

    organization: Account
    id: int
    slug: str
    name: str
    repositories: tuple[str, ...] | None = None  # the only ones it has access to; None: all of the organization's

    def reaches(self, full_name: str) -> bool:
        listed = self.repositories
        return listed is None or full_name.lower() in {name.lower() for name in listed}


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The sender of an authenticated request."""

    token: Token
    account: Account

    @property
    def login(self) -> str:
        return self.account.login


class Accounts:
    """The register of accounts and tokens. Logins compare without case."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._accounts: dict[str, Account] = {}
        self._tokens: dict[str, Token] = {}
        self._members: dict[str, set[str]] = {}  # organization -> logins, both in lower case
        self._teams: list[Team] = []
        self._next_id = 1001
        self.add(APP_LOGIN, type="Bot")

    def add(
        self,
        login: str,
        *,
        id: int | None = None,
        type: str = "User",
        name: str | None = None,
        email: str | None = None,
        email_public: bool = False,
        blocks_private_email: bool = False,
    ) -> Account:
        """Adds an account, or gives an existing one other details (its number stays unless it is given)."""
        known = self.find(login)
        if id is None:
            id = known.id if known else self._new_id()
        account = Account(
            login=login,
            id=id,
            type=type,
            name=name,
            email=email,
            email_public=email_public,
            blocks_private_email=blocks_private_email,
        )
        self._accounts[login.lower()] = replace(account, created_at=known.created_at) if known else account
        return self._accounts[login.lower()]

    def find(self, login: str) -> Account | None:
        return self._accounts.get(login.lower())

    def get(self, login: str) -> Account:
        """The account; one that nobody added is an ordinary user."""
        return self.find(login) or self.add(login)

    @property
    def all(self) -> tuple[Account, ...]:
        return tuple(self._accounts.values())

    def find_by_id(self, number: int) -> Account | None:
        return next((account for account in self.all if account.id == number), None)

    def add_member(self, organization: str, *logins: str) -> None:
        """Makes users members of an organization; whom nobody added is added."""
        if self.find(organization) is None:
            self.add(organization, type="Organization")
        self._members.setdefault(organization.lower(), set()).update(self.get(login).login.lower() for login in logins)

    def members(self, organization: Account) -> tuple[Account, ...]:
        return tuple(self.get(login) for login in sorted(self._members.get(organization.login.lower(), ())))

    def organizations(self, member: Account) -> tuple[Account, ...]:
        found = (name for name, logins in self._members.items() if member.login.lower() in logins)
        return tuple(self.get(name) for name in sorted(found))

    def add_team(
        self, organization: str, slug: str, *, name: str | None = None, repositories: tuple[str, ...] | None = None
    ) -> Team:
        """The organization is added when nobody did."""
        owner = self.find(organization) or self.add(organization, type="Organization")
        team = Team(organization=owner, id=self._new_id(), slug=slug, name=name or slug, repositories=repositories)
        self._teams.append(team)
        return team

    def teams(self, organization: Account) -> tuple[Team, ...]:
        return tuple(team for team in self._teams if team.organization == organization)

    def add_token(self, value: str, token: Token) -> None:
        """Makes `value` a token. Its owner is added when nobody did."""
        if token.login is not None:
            self.get(token.login)
        self._tokens[value] = token

    def revoke_token(self, value: str) -> None:
        """Unknown values are ignored."""
        self._tokens.pop(value, None)

    def identify(self, value: str) -> Identity | None:
        """Who sends this token; None when it is unknown, revoked or expired."""
        token = self._tokens.get(value)
        if token is None or (token.expires_at is not None and token.expires_at <= self._now()):
            return None
        return Identity(token=token, account=self.get(token.login or token.bot))

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1
