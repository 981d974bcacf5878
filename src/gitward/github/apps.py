"""Tokens of a GitHub App: each made for the repositories of one session, with no more rights than it needs.

Sources: GitHub's documentation, "Generating a JSON Web Token (JWT) for a GitHub App", "REST API endpoints for GitHub
Apps".
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gitward.errors import GitwardError, Reason, RunFailure
from gitward.github.app_permissions import missing, wanted
from gitward.github.client import Answer, Connection, GitHub, path_of
from gitward.github.credentials import app_jwt
from gitward.github.limits import server_time
from gitward.github.moved_repositories import REDIRECTS, moved_id
from gitward.github.retries import Retries
from gitward.github.tokens import Access, Identity, MaskedTokens, Token
from gitward.secrets import Secret

log = logging.getLogger(__name__)

MARGIN_SECONDS = 600.0  # before its end a token gets a successor; after three quarters of a life that is short
_JWT_SECONDS = 480  # GitHub takes ten minutes at most
_BACKDATED_SECONDS = 60  # a clock that is a little fast does no harm
_SKEW_SECONDS = 30.0  # a difference of the clocks that is worth a word
_RENEW = "look at GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY_FILE"


class KeyUnreadable(GitwardError):
    """The App's private key cannot be used. The text says why and quotes nothing of it."""


@dataclass(frozen=True, kw_only=True)
class Installation:
    """The App on one account, as one of its repositories sees it."""

    id: int
    account: str
    permissions: Mapping[str, str]
    repository_id: int | None = None  # of a repository that has another name by now


class GitHubApp:
    """The App itself: what it asks with its private key."""

    def __init__(self, github: GitHub, *, app_id: str, key_file: Path, clock: Callable[[], float] = time.time) -> None:
        self._github = github
        self._clock = clock
        self._app_id = app_id
        self._key_file = key_file
        self._ahead = 0.0  # seconds that GitHub's clock is ahead of ours

    def read_key(self) -> Secret:
        """The key of this moment: the file may be replaced while the service runs. Blocks on a small file.

        :raises KeyUnreadable: there is none.
        """
        try:
            key = Secret(self._key_file.read_text())
            self._jwt(key)
        except (OSError, UnicodeDecodeError) as error:
            raise KeyUnreadable(f"GITHUB_APP_PRIVATE_KEY_FILE cannot be read ({type(error).__name__})") from None
        except ValueError as error:
            raise KeyUnreadable(f"GITHUB_APP_PRIVATE_KEY_FILE holds {error}") from None
        return key

    async def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, retries: Retries | None = None
    ) -> Answer:
        """What GitHub answers to the App.

        :raises RunFailure: the key cannot be used, or GitHub does not take it.
        """
        for _ in range(2):  # the second time with GitHub's own time, and not with a proof that grew old while we waited
            answer = await self._connection(retries, await self._proof()).exchange(method, path, body=body)
            if answer.status != 401:
                break
            self._set_clock(answer)
        if answer.status == 401 or (answer.status == 404 and "integration not found" in answer.message.lower()):
            raise RunFailure(
                Reason.TOKEN_REJECTED,
                f"GitHub does not accept the GitHub App's proof ({answer.status} {answer.message}): {_RENEW}.",
            )
        return answer

    async def slug(self, retries: Retries | None = None) -> str:
        """The App's name in addresses.

        :raises RunFailure: as `ask`.
        """
        answer = await self.request("GET", "/app", retries=retries)
        if answer.status != 200 or not isinstance(answer.body, dict):
            raise RunFailure(Reason.INTERNAL, f"GitHub does not describe the App ({answer.status} {answer.message}).")
        return str(answer.body["slug"])

    async def installation(self, repository: str, retries: Retries | None = None) -> Installation | None:
        """Where the App is installed for this repository, whatever its name is by now; None: nowhere.

        :raises RunFailure: as `ask`; also when it is suspended there.
        """
        answer = await self.request("GET", path_of(repository, "installation"), retries=retries)
        moved = moved_id(answer, below="installation")
        if moved is not None:
            answer = await self.request("GET", f"/repositories/{moved}/installation", retries=retries)
        if answer.status in REDIRECTS:
            raise RunFailure(Reason.REPOSITORY_NOT_FOUND, f"{repository} was renamed or moved; use its new name.")
        if answer.status == 404:
            return None
        if answer.status != 200 or not isinstance(answer.body, dict):
            raise RunFailure(
                Reason.TOKEN_LACKS_PERMISSION,
                f"GitHub does not say where the App is installed ({answer.status} {answer.message}).",
            )
        account = str((answer.body.get("account") or {}).get("login", repository.partition("/")[0]))
        if answer.body.get("suspended_at") is not None:
            raise suspended(account)
        return Installation(
            id=int(answer.body["id"]),
            account=account,
            permissions=answer.body.get("permissions") or {},
            repository_id=moved,
        )

    def _connection(self, retries: Retries | None, proof: Secret) -> Connection:
        token = Token(secret=proof, kind="an App's proof", holder="app", renewable=True, renew=_RENEW)
        return self._github.connect(token, retries)

    async def _proof(self) -> Secret:
        try:
            return self._jwt(await asyncio.to_thread(self.read_key))
        except KeyUnreadable as error:
            raise RunFailure(Reason.TOKEN_MISSING, f"{error}; fix it.") from None

    def _jwt(self, key: Secret) -> Secret:
        now = int(self._clock() + self._ahead)
        issued, ends = now - _BACKDATED_SECONDS, now + _JWT_SECONDS
        return app_jwt(key, issuer=self._app_id, issued_at=issued, expires_at=ends)

    def _set_clock(self, answer: Answer) -> None:
        ahead = server_time(answer.headers) - self._clock()
        if abs(ahead - self._ahead) > _SKEW_SECONDS:
            log.warning("This machine's clock differs from GitHub's by %.0f s; set it", -ahead)
        self._ahead = ahead if abs(ahead) > _SKEW_SECONDS else 0.0


def suspended(account: str) -> RunFailure:
    return RunFailure(
        Reason.TOKEN_LACKS_PERMISSION, f"The GitHub App's installation on {account} is suspended; resume it on GitHub."
    )


class AppTokens:
    """Mints installation tokens, and gives each again until shortly before its end."""

    def __init__(self, app: GitHubApp, github: GitHub) -> None:
        self._app = app
        self._github = github
        self._masked = MaskedTokens()
        self._tokens: dict[Access, Token] = {}
        self._locks: defaultdict[Access, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._bot: Identity | None = None

    async def take(self, access: Access, *, retries: Retries | None = None, level: int = logging.DEBUG) -> Token:
        """A token for the session's repository, and for its submodules where the App is installed along with it.

        :raises RunFailure: the App is not installed there, may not do what is needed, or GitHub does not know it.
        """
        key = _normal(access)
        async with self._locks[key]:
            token = self._tokens.get(key)
            if token is None or time.monotonic() >= (token.renew_at or 0.0):
                token = await self._mint(key, retries)
                self._tokens = {each: kept for each, kept in self._tokens.items() if not _is_over(kept)} | {key: token}
                self._masked.add(token.secret)
                log.log(level, "Made %s for %s", token.kind, access.repository)
            return token

    def distrust(self, token: Token) -> None:
        self._tokens = {key: kept for key, kept in self._tokens.items() if kept.secret != token.secret}

    async def _mint(self, access: Access, retries: Retries | None) -> Token:
        installation = await self._app.installation(access.repository, retries)
        if installation is None:
            raise RunFailure(
                Reason.REPOSITORY_NOT_FOUND,
                f"The GitHub App is not installed on {access.repository}, or there is no such repository; "
                "install it there, or check the name.",
            )
        lacking = missing(installation.permissions)
        if lacking:
            raise RunFailure(
                Reason.TOKEN_LACKS_PERMISSION,
                f"The GitHub App's installation on {installation.account} lacks {' and '.join(lacking)}; grant it.",
            )
        together, apart = await self._submodules(access, installation, retries)
        by_number = [] if installation.repository_id is None else [installation.repository_id]
        by_name = together if by_number else [access.repository, *together]
        asked = {
            **({"repository_ids": by_number} if by_number else {}),
            **({"repositories": [name.partition("/")[2] for name in by_name]} if by_name else {}),
            "permissions": wanted(installation.permissions, workflows=access.workflows),
        }
        path = f"/app/installations/{installation.id}/access_tokens"
        token = _minted(await self._app.request("POST", path, asked, retries=retries), installation)
        return replace(token, bot=await self._identity(token, retries), notices=tuple(map(_not_reached, apart)))

    async def _submodules(
        self, access: Access, installation: Installation, retries: Retries | None
    ) -> tuple[list[str], list[str]]:
        """Those that the same installation reaches, and the others."""
        together: list[str] = []
        apart: list[str] = []
        for name in access.submodules:
            found = await self._app.installation(name, retries)
            (together if found is not None and found.id == installation.id else apart).append(name)
        return together, apart

    async def _identity(self, token: Token, retries: Retries | None) -> Identity:
        """The App's bot, with the address that GitHub links to it. Asked for once."""
        if self._bot is None:
            login = f"{await self._app.slug(retries)}[bot]"
            github = self._github.connect(token, retries)
            answer = await github.get(f"/users/{quote(login, safe='')}")
            number = f"{answer.body['id']}+" if answer.status == 200 else ""
            self._bot = Identity(login=login, name=login, email=f"{number}{login}@{github.noreply_host}")
        return self._bot


def _minted(answer: Answer, installation: Installation) -> Token:
    if answer.status == 403 and "suspended" in answer.message:
        raise suspended(installation.account)
    if answer.status != 201:
        raise RunFailure(
            Reason.TOKEN_LACKS_PERMISSION,
            f"GitHub made no token for the App's installation on {installation.account} "
            f"({answer.status} {answer.message}).",
        )
    ends = datetime.fromisoformat(answer.body["expires_at"]).timestamp()
    life = ends - server_time(answer.headers)  # by GitHub's clock at both ends: ours may be wrong
    now = time.monotonic()
    return Token(
        secret=Secret(answer.body["token"]),
        kind="a GitHub App's installation token",
        holder=f"installation {installation.id}",
        renewable=True,
        renew=_RENEW,
        renew_at=now + max(life - MARGIN_SECONDS, life * 0.75),
        ends_at=now + life,
        made_at=now,
        granted=installation.permissions,
    )


def _normal(access: Access) -> Access:
    """GitHub compares names without case."""
    submodules = tuple(sorted({name.lower() for name in access.submodules} - {access.repository.lower()}))
    return replace(access, repository=access.repository.lower(), submodules=submodules)


def _is_over(token: Token) -> bool:
    return token.ends_at is not None and time.monotonic() >= token.ends_at


def _not_reached(repository: str) -> str:
    return f"The GitHub App's token does not reach the submodule {repository}: the App is not installed along with it."
