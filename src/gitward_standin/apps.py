"""GitHub Apps: who they are, where they are installed, and the tokens that they make.

Sources: GitHub's documentation, "Generating a JSON Web Token (JWT) for a GitHub App" and "REST API endpoints for GitHub
Apps"; the words of refusals from public bug reports.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import jwt

from gitward_standin.accounts import Account, Accounts, Token, TokenKind
from gitward_standin.clock import now
from gitward_standin.model import Repository

LONGEST_JWT_SECONDS = 600
_UNDECODED = "A JSON web token could not be decoded"
_LEVELS = {"read": 1, "write": 2, "admin": 3}
ALL = {
    "metadata": "read",
    "contents": "write",
    "pull_requests": "write",
    "issues": "write",
    "actions": "read",
    "checks": "read",
    "statuses": "read",
}


@dataclass
class AppRefused(Exception):
    """What an App asks is refused."""

    status: int
    message: str


@dataclass(frozen=True, kw_only=True)
class App:
    """A GitHub App. Its private key is its operator's."""

    id: int
    client_id: str
    slug: str
    owner: Account
    public_key: bytes  # PEM
    created_at: datetime = field(default_factory=now)

    @property
    def bot(self) -> str:
        return f"{self.slug}[bot]"


@dataclass(kw_only=True, eq=False)
class Installation:
    """An App on one account."""

    id: int
    app: App
    account: Account
    permissions: Mapping[str, str]
    repositories: tuple[str, ...] | None  # full names; None: all of the account
    suspended_at: datetime | None = None
    created_at: datetime = field(default_factory=now)

    def reaches(self, repository: Repository) -> bool:
        listed = self.repositories
        if listed is not None:
            return repository.full_name.lower() in {name.lower() for name in listed}
        return repository.owner.login.lower() == self.account.login.lower()


class Apps:
    """The register of Apps and installations."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._apps: list[App] = []
        self._installations: list[Installation] = []
        self.token_seconds = 3600.0  # how long minted tokens live
        self.minted: list[Token] = []  # oldest first

    def add(self, slug: str, *, owner: str, public_key: bytes) -> App:
        app = App(
            id=300_001 + len(self._apps),
            client_id=f"Iv23standin{len(self._apps):04}",
            slug=slug,
            owner=self._accounts.get(owner),
            public_key=public_key,
        )
        self._accounts.add(app.bot, type="Bot")
        self._apps.append(app)
        return app

    def named(self, slug: str) -> App | None:
        return next((each for each in self._apps if each.slug == slug), None)

    def install(
        self, app: App, account: str, *, permissions: Mapping[str, str], repositories: Sequence[str] | None = None
    ) -> Installation:
        installation = Installation(
            id=50_000_001 + len(self._installations),
            app=app,
            account=self._accounts.get(account),
            permissions=dict(permissions),
            repositories=None if repositories is None else tuple(repositories),
        )
        self._installations.append(installation)
        return installation

    def rotate(self, app: App, public_key: bytes) -> None:
        """The App gets another key; what the old one signs is refused."""
        self._apps = [replace(each, public_key=public_key) if each.id == app.id else each for each in self._apps]

    def uninstall(self, installation: Installation) -> None:
        self._installations.remove(installation)

    def authenticate(self, proof: str) -> App:
        """Who signed this JWT. Raises AppRefused."""
        try:
            claims = jwt.decode(proof, options={"verify_signature": False})
            issuer = str(claims["iss"])
            issued, ends = int(claims["iat"]), int(claims["exp"])
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
            raise AppRefused(401, _UNDECODED) from None
        app = next((app for app in self._apps if issuer in (str(app.id), app.client_id)), None)
        if app is None:
            raise AppRefused(404, "Integration not found")
        try:
            jwt.decode(proof, app.public_key, algorithms=["RS256"], options={"verify_exp": False, "verify_iat": False})
        except jwt.InvalidTokenError:
            raise AppRefused(401, _UNDECODED) from None
        moment = datetime.now(UTC).timestamp()
        if ends <= moment:
            raise AppRefused(
                401,
                "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the "
                "assertion expires",
            )
        if ends > moment + LONGEST_JWT_SECONDS:
            raise AppRefused(401, "'Expiration time' claim ('exp') is too far in the future")
        if issued > moment:
            raise AppRefused(
                401,
                "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
            )
        return app

    def find(self, app: App, number: int) -> Installation | None:
        return next((each for each in self._installations if each.app.id == app.id and each.id == number), None)

    def of(self, app: App) -> tuple[Installation, ...]:
        return tuple(each for each in self._installations if each.app.id == app.id)

    def on(self, app: App, repository: Repository) -> Installation | None:
        return next((each for each in self.of(app) if each.reaches(repository)), None)

    def mint(
        self, installation: Installation, repositories: tuple[str, ...] | None, permissions: Mapping[str, str] | None
    ) -> tuple[str, Token]:
        """A new token. Raises AppRefused for rights that the installation lacks."""
        asked = dict(installation.permissions if permissions is None else {"metadata": "read", **permissions})
        for name, level in asked.items():
            if _LEVELS.get(level, 9) > _LEVELS.get(installation.permissions.get(name, ""), 0):
                raise AppRefused(422, "The permissions requested are not granted to this installation.")
        token = Token(
            login=None,
            kind=TokenKind.APP,
            bot=installation.app.bot,
            expires_at=datetime.now(UTC) + timedelta(seconds=self.token_seconds),
            repositories=repositories,
            permissions=asked,
        )
        value = _new_value(installation.app)
        self._accounts.add_token(value, token)
        self.minted.append(token)
        return value, token


def _new_value(app: App) -> str:
    """The form that github.com gives out since 2026: `ghs_`, the App's id, and something like a JWT."""
    parts = (secrets.token_urlsafe(size) for size in (27, 260, 64))
    return f"ghs_{app.id}_{'.'.join(parts)}"
