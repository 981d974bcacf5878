"""GITWARD_AUTHORIZE=collaborator: whoever may write to a repository on GitHub may use it here.

GitHub is asked who that is. Answers count for a minute, for follow-ups not even that; no answer is no yes.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from gitward.errors import FieldError, InvalidRequest, Reason, RunFailure, Unavailable
from gitward.github.client import GitHub
from gitward.github.collaborators import Permission, is_login, permission_of
from gitward.github.retries import Patience, Retries
from gitward.github.tokens import Access, TokenSource

KNOWN_SECONDS = 60.0
ANSWER_SECONDS = 8.0  # for all of one caller's questions, with their second tries
AT_ONCE = 8  # questions; others wait their turn within the same time
MOST_KNOWN = 2000
_PATIENCE = Patience(first_seconds=0.3, longest_seconds=1.0, total_seconds=3.0, tries=2)
_SILENT = "GitHub does not answer who may write to this repository, so nothing was accepted; try again later."
_LATER_SECONDS = 15
_PASSING = frozenset({Reason.INTERNAL, Reason.RATE_LIMITED, Reason.TIMED_OUT})

Ask = Callable[[str, str], Awaitable[Permission]]  # of a repository and a login
_Key = tuple[str, str]


class Collaborators:
    """Asks, and remembers for a while."""

    def __init__(
        self,
        ask: Ask,
        *,
        login_claim: str,
        clock: Callable[[], float] = time.monotonic,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._ask = ask
        self._login_claim = login_claim
        self._clock = clock
        self._answer_seconds = answer_seconds
        self._known: OrderedDict[_Key, tuple[float, Permission]] = OrderedDict()
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def check(
        self, claims: Mapping[str, Any], repo: str, submodules: Sequence[str], *, again: bool = False
    ) -> None:
        """:param again: asks GitHub now, whatever it answered a moment ago.
        :raises InvalidRequest: the caller may not write to the repository, or not read a submodule.
        :raises Unavailable: GitHub does not say.
        """
        login = self._login(claims)
        names = [name for name in dict.fromkeys([repo, *submodules]) if again or self._recent(login, name) is None]
        try:
            async with asyncio.timeout(self._answer_seconds):
                await asyncio.gather(*(self._learn(login, name) for name in names))
        except TimeoutError:
            raise Unavailable(_SILENT, retry_after=_LATER_SECONDS) from None
        self.require(claims, repo, submodules)

    def require(self, claims: Mapping[str, Any], repo: str, submodules: Sequence[str]) -> None:
        """The same by what is known from a moment ago, in a transaction, where nobody waits for GitHub."""
        login = self._login(claims)
        errors = [
            FieldError(field=field, message=f"must be a repository that {login} may {verb} on GitHub")
            for field, name, needed, verb in _wanted(repo, submodules)
            if self._now(login, name) < needed
        ]
        if errors:
            raise InvalidRequest("GitHub does not let you use this repository.", errors=errors)

    def _login(self, claims: Mapping[str, Any]) -> str:
        login = claims.get(self._login_claim)
        if not isinstance(login, str) or not is_login(login):
            raise InvalidRequest(
                f"Your token does not say who you are on GitHub: it needs the claim `{self._login_claim}` with your "
                "login there."
            )
        return login

    def _now(self, login: str, repository: str) -> Permission:
        known = self._recent(login, repository)
        if known is None:
            raise Unavailable("The repository was renamed just now; try again.")
        return known

    def _recent(self, login: str, repository: str) -> Permission | None:
        at, permission = self._known.get(_key(login, repository), (float("-inf"), Permission.NONE))
        return permission if self._clock() - at < KNOWN_SECONDS else None

    async def _learn(self, login: str, repository: str) -> None:
        asked_at = self._clock()
        self._known.pop(_key(login, repository), None)  # an old yes does not outlive a question without an answer
        try:
            async with self._turns:
                permission = await self._ask(repository, login)
        except RunFailure as failure:
            if failure.reason in _PASSING:
                raise Unavailable(_SILENT, retry_after=_LATER_SECONDS) from None
            raise Unavailable(f"{_SILENT} {failure.message}", retry_after=_LATER_SECONDS) from None
        self._known[_key(login, repository)] = (asked_at, permission)
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)


def asking(tokens: TokenSource, github: GitHub) -> Ask:
    """Asks GitHub with the service's token."""

    async def ask(repository: str, login: str) -> Permission:
        retries = Retries(_PATIENCE, limited_seconds=0.0)
        token = await tokens.take(Access(repository=repository), retries=retries)
        return await permission_of(github.connect(token, retries), repository, login)

    return ask


def _wanted(repo: str, submodules: Sequence[str]) -> list[tuple[str, str, Permission, str]]:
    read = [("submodules", name, Permission.READ, "read") for name in submodules]
    return [("repo", repo, Permission.WRITE, "write to"), *read]


def _key(login: str, repository: str) -> _Key:
    return login.lower(), repository.lower()
