"""The job's own connection to GitHub: what preflight asks and how pull requests are made.

Everything else that talks to GitHub does so from inside a sandbox, through the broker.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2

from gitward.errors import GitwardError, Reason
from gitward.github.credentials import authorization, git_authorization
from gitward.github.failures import passing, refusal
from gitward.github.limits import RateLimits
from gitward.github.retries import PassingFault, Retries
from gitward.github.token_health import TokenHealth
from gitward.github.tokens import Token
from gitward.github.transport import ProxyFailed, RoutedTransport
from gitward.web_proxy import Route

_TIMEOUT = httpx2.Timeout(30, connect=10)
_CODE_SECONDS = 30.0  # for the whole answer to a code
_LONGEST_ANSWER = 256 * 1024  # bytes of it
_API_HEADERS = {
    "Accept": "application/vnd.github+json",
    "X-GitHub-Api-Version": "2022-11-28",
    "User-Agent": "gitward",
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer of the REST API. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: Any  # parsed JSON, or None

    @property
    def message(self) -> str:
        """GitHub's own words about an error, with the details it gives, 500 characters at most."""
        if not isinstance(self.body, dict):
            return ""
        errors = self.body.get("errors") or []
        details = [_detail(error) for error in (errors if isinstance(errors, list) else [errors])]
        return ": ".join(part for part in [str(self.body.get("message") or ""), *details] if part)[:500]


def _detail(error: object) -> str:
    """One entry of `errors`: a sentence, or an object that has one, or names what is wrong with which field."""
    if not isinstance(error, dict):
        return str(error)
    if error.get("message"):
        return str(error["message"])
    place = " ".join(str(error[key]) for key in ("resource", "field") if error.get(key))
    code = str(error.get("code") or "invalid").replace("_", " ")
    return f"{place} is {code}" if place else code


class GitHub:
    """Opens connections for one step each; keeps no token, but what GitHub told of their limits."""

    def __init__(
        self,
        *,
        api_url: str,
        server_url: str,
        ca_file: Path | None = None,
        public_host: str = "github.com",
        route: Route | None = None,
    ) -> None:
        """`public_host`: GitHub's own name, when it is reached under another."""
        self._api_url = api_url
        self._server_url = server_url
        self._noreply_host = f"users.noreply.{public_host}"
        self.limits = RateLimits()
        self.tokens = TokenHealth()
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        transport = RoutedTransport(route or Route(), context)
        self._http = httpx2.AsyncClient(transport=transport, timeout=_TIMEOUT, follow_redirects=False)

    def connect(
        self, token: Token, retries: Retries | None = None, *, before_write: Callable[[], None] = lambda: None
    ) -> Connection:
        """:param before_write: called before each request that changes something; what it raises stops the request."""
        return Connection(
            self._http,
            token,
            api_url=self._api_url,
            server_url=self._server_url,
            limits=self.limits,
            health=self.tokens,
            retries=retries or Retries(),
            before_write=before_write,
            noreply_host=self._noreply_host,
        )

    async def exchange_code(self, path: str) -> tuple[int, object]:
        """What GitHub answers to a POST without a token, as JSON: status and body. One try, and a bounded answer.

        :raises Unreachable: there is no whole answer.
        """
        body = bytearray()
        try:
            async with (
                asyncio.timeout(_CODE_SECONDS),
                self._http.stream("POST", self._api_url + path, headers=_API_HEADERS) as response,
            ):
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > _LONGEST_ANSWER:
                        raise Unreachable("GitHub's answer is too long")
        except (httpx2.HTTPError, TimeoutError) as error:
            told = str(error) if isinstance(error, ProxyFailed) else type(error).__name__
            raise Unreachable(f"GitHub's API could not be reached ({told})") from None
        try:
            return response.status_code, json.loads(bytes(body))
        except (ValueError, RecursionError):
            return response.status_code, None

    async def stop(self) -> None:
        await self._http.aclose()


class Unreachable(GitwardError):
    """GitHub did not answer. The text is a clause that names no address."""


class Connection:
    """GitHub, asked with one token. Faults that may pass are borne as long as `retries` says."""

    def __init__(
        self,
        http: httpx2.AsyncClient,
        token: Token,
        *,
        api_url: str,
        server_url: str,
        limits: RateLimits,
        health: TokenHealth,
        retries: Retries,
        before_write: Callable[[], None],
        noreply_host: str,
    ) -> None:
        self._http, self._api_url, self._server_url = http, api_url, server_url
        self._limits, self._health = limits, health
        self._before_write = before_write
        self.token = token
        self.retries = retries
        self.noreply_host = noreply_host  # of addresses that link commits to accounts without telling a real one

    async def get(self, path: str, **parameters: str) -> Answer:
        return self._unrefused(await self.exchange("GET", path, parameters=parameters))

    async def post(self, path: str, body: Mapping[str, Any], *, repeatable: bool = False) -> Answer:
        """:param repeatable: whether the same call may be made twice without harm.

        :raises PassingFault: it is not repeatable, and may have been carried out.
        """
        return self._unrefused(await self.exchange("POST", path, body=body, repeatable=repeatable))

    async def exchange(
        self,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        repeatable: bool = True,
    ) -> Answer:
        """One call, and what GitHub answers to it, a refusal too."""

        async def once() -> Answer:
            request = self._http.build_request(
                method,
                self._api_url + path,
                params=dict(parameters or {}),
                json=body,
                headers={**_API_HEADERS, **authorization(self.token.secret)},
            )
            self._limits.check(self.token.holder)
            if method != "GET":
                self._before_write()
            try:
                response = await self._http.send(request)
            except httpx2.HTTPError as error:
                raise _unreachable(error) from None
            answer = Answer(status=response.status_code, headers=_lower(response.headers), body=_json(response))
            self._note(answer.status, answer.headers, answer.message)
            self._look(answer.status, answer.headers, answer.message)
            return answer

        return await self.retries.run(once, repeatable=repeatable)

    async def may_push(self, repository: str) -> tuple[int, str]:
        """Asks git's own door whether the token may push: the status and what was said.

        The API's `permissions.push` tells the user's role, not what a fine-grained or App token may do.
        """
        url = f"{self._server_url}/{repository}.git/info/refs"
        headers = {"User-Agent": "git/gitward", **git_authorization(self.token.secret)}

        async def once() -> tuple[int, str, dict[str, str]]:
            self._limits.check(self.token.holder)
            try:
                async with self._http.stream(
                    "GET", url, params={"service": "git-receive-pack"}, headers=headers
                ) as response:
                    text = "" if response.is_success else await _beginning(response)
            except httpx2.HTTPError as error:
                raise _unreachable(error) from None
            if response.status_code in {401, 403}:  # git's door tells nothing else of a token
                self._note(response.status_code, _lower(response.headers), text)
            self._look(response.status_code, _lower(response.headers), text)
            return response.status_code, text, _lower(response.headers)

        status, text, answered = await self.retries.run(once)
        failure = refusal(status, answered, text, renew=self.token.renew)
        if failure is not None:
            raise failure
        return status, text

    def _look(self, status: int, headers: Mapping[str, str], message: str) -> None:
        """:raises PassingFault: the answer may be another one soon."""
        token = self.token
        self._limits.note(token.holder, status, headers, message)
        fault = passing(status, headers, message)
        if fault is None and status == 401 and self.token.is_new:
            cause = "GitHub does not know the new token yet"
            fault = PassingFault(
                Reason.TOKEN_REJECTED, f"GitHub rejected the token (401 {message}): {self.token.renew}.", cause=cause
            )
        if fault is not None:
            raise fault

    def _note(self, status: int, headers: Mapping[str, str], message: str) -> None:
        token = self.token
        self._health.note(token.holder, token.kind, status, headers, message, ends_at=token.ends_at)

    def _unrefused(self, answer: Answer) -> Answer:
        """:raises RunFailure: for what means the same everywhere; other refusals are the caller's to judge."""
        failure = refusal(answer.status, answer.headers, answer.message, renew=self.token.renew)
        if failure is not None:
            raise failure
        return answer


def path_of(repository: str, *parts: str | int) -> str:
    """`/repos/owner/name/…`, every part percent-encoded."""
    return "/repos/" + "/".join(quote(part, safe="") for part in [*repository.split("/", 1), *map(str, parts)])


def _lower(headers: httpx2.Headers) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _json(response: httpx2.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


async def _beginning(response: httpx2.Response) -> str:
    """The first 500 bytes of an error text, made fit for one line."""
    async for chunk in response.aiter_bytes(500):
        return " ".join(chunk[:500].decode("utf-8", "replace").split())
    return ""


def _unreachable(error: httpx2.HTTPError) -> PassingFault:
    # httpx2's own text may quote the address it asked; ours names only the kind.
    told = str(error) if isinstance(error, ProxyFailed) else type(error).__name__
    cause = f"GitHub could not be reached ({told})"
    unsent = isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)
    return PassingFault(Reason.INTERNAL, f"{cause}; check the network and retry.", cause=cause, carried_out=not unsent)
