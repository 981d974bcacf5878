"""The job's own connection to GitHub: what preflight asks and how pull requests are made.

Everything else that talks to GitHub does so from inside a sandbox, through the broker.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from gitward.errors import Reason, RunFailure
from gitward.github.credentials import authorization, git_authorization
from gitward.github.failures import refusal
from gitward.secrets import Secret

_TIMEOUT = httpx.Timeout(30, connect=10)
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
        details = [
            str(error["message"] if isinstance(error, dict) and "message" in error else error)
            for error in (errors if isinstance(errors, list) else [errors])
        ]
        return ": ".join([str(self.body.get("message", "")), *details])[:500]


class GitHub:
    """Opens connections for one run each; keeps no token."""

    def __init__(self, *, api_url: str, server_url: str, ca_file: Path | None = None) -> None:
        self._api_url = api_url
        self._server_url = server_url
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        transport = httpx.AsyncHTTPTransport(verify=context, retries=2)  # connections only, never a request
        self._http = httpx.AsyncClient(transport=transport, timeout=_TIMEOUT, follow_redirects=False)

    def connect(self, token: Secret) -> Connection:
        return Connection(self._http, token, api_url=self._api_url, server_url=self._server_url)

    async def stop(self) -> None:
        await self._http.aclose()


class Connection:
    """GitHub, asked with one token."""

    def __init__(self, http: httpx.AsyncClient, token: Secret, *, api_url: str, server_url: str) -> None:
        self._http, self._token, self._api_url, self._server_url = http, token, api_url, server_url

    async def get(self, path: str, **parameters: str) -> Answer:
        return await self._request("GET", path, parameters=parameters)

    async def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        return await self._request("POST", path, body=body)

    async def _request(
        self,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        """One call. Refusals that mean the same everywhere become a RunFailure, the others are the caller's."""
        try:
            response = await self._http.request(
                method,
                self._api_url + path,
                params=dict(parameters or {}),
                json=body,
                headers={**_API_HEADERS, **authorization(self._token)},
            )
        except httpx.HTTPError as error:
            raise _unreachable(error) from None
        answer = Answer(status=response.status_code, headers=_lower(response.headers), body=_json(response))
        failure = refusal(answer.status, answer.headers, answer.message)
        if failure is not None:
            raise failure
        return answer

    async def may_push(self, repository: str) -> tuple[int, str]:
        """Asks git's own door whether the token may push: the status and what was said.

        The API's `permissions.push` tells the user's role, not what a fine-grained or App token may do.
        """
        url = f"{self._server_url}/{repository}.git/info/refs"
        headers = {"User-Agent": "git/gitward", **git_authorization(self._token)}
        try:
            async with self._http.stream(
                "GET", url, params={"service": "git-receive-pack"}, headers=headers
            ) as response:
                text = "" if response.is_success else await _beginning(response)
        except httpx.HTTPError as error:
            raise _unreachable(error) from None
        failure = refusal(response.status_code, _lower(response.headers), text)
        if failure is not None:
            raise failure
        return response.status_code, text


def path_of(repository: str, *parts: str | int) -> str:
    """`/repos/owner/name/…`, every part percent-encoded."""
    return "/repos/" + "/".join(quote(part, safe="") for part in [*repository.split("/", 1), *map(str, parts)])


def _lower(headers: httpx.Headers) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


async def _beginning(response: httpx.Response) -> str:
    """The first 500 bytes of an error text, made fit for one line."""
    async for chunk in response.aiter_bytes(500):
        return " ".join(chunk[:500].decode("utf-8", "replace").split())
    return ""


def _unreachable(error: httpx.HTTPError) -> RunFailure:
    # httpx's own text may quote the address it asked; ours names only the kind.
    return RunFailure(
        Reason.INTERNAL, f"GitHub could not be reached ({type(error).__name__}); check the network and retry."
    )
