"""The service as the client sees it: JSON over HTTP, and the stream of a session's events."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2

from gitward.cli.client.account import Account, is_local
from gitward.cli.client.errors import ClientError, Conflict, refused, unreachable
from gitward.cli.client.texts import plain
from gitward.errors import Exit

Json = dict[str, Any]
_TIMEOUT = httpx2.Timeout(30.0, connect=10.0)
_SILENCE_SECONDS = 60.0  # of a stream, which says something every 15 seconds
_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 10.0, 10.0, 10.0, 10.0)  # before a stream is opened again
_MOST_BYTES = 64 * 1024 * 1024  # of one answer; an artifact has 10 MiB at most
_PAGES = 25


class Service:
    """One service, as its owner's JWT shows it. A context manager."""

    def __init__(self, account: Account, *, transport: httpx2.BaseTransport | None = None) -> None:
        self.url = account.url
        headers = {"Authorization": f"Bearer {account.jwt}"} if account.jwt else {}
        self._http = httpx2.Client(
            base_url=account.url,
            headers=headers,
            timeout=_TIMEOUT,
            follow_redirects=False,  # one would take the JWT elsewhere
            trust_env=not is_local(account.url),  # a company's proxy does not lead to this machine
            transport=transport,
        )

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **parameters: Any) -> Json:
        """:raises ClientError: it was refused, or there was no answer."""
        return self._json("GET", path, params=_given(parameters))

    def post(self, path: str, body: Mapping[str, Any] | None = None, *, key: str | None = None) -> Json:
        """:param key: of a request that may be repeated (`Idempotency-Key`)."""
        headers = {"Idempotency-Key": key} if key else {}
        return self._json("POST", path, json={} if body is None else dict(body), headers=headers)

    def content(self, path: str, **parameters: Any) -> bytes:
        """An artifact's bytes."""
        with self._answer("GET", path, params=_given(parameters)) as answer:
            content = bytearray()
            for piece in answer.iter_bytes():
                content += piece
                if len(content) > _MOST_BYTES:
                    raise unreachable(f"{self.url} sends more than {_MOST_BYTES // 2**20} MiB for {path}")
            return bytes(content)

    def sessions(self, *, most: int, **filters: Any) -> Iterator[Json]:
        """The caller's sessions, newest first, page by page."""
        cursor, left = None, most
        for _ in range(_PAGES):
            page = self.get("/sessions", limit=min(left, 200), cursor=cursor, **filters)
            yield from page["items"][:left]
            left -= len(page["items"])
            cursor = page.get("next")
            if cursor is None or left <= 0:
                return

    def events(self, session: str, *, run: str | None = None, after: int = 0) -> Iterator[Json]:
        """Live, until the run (or the session's last unfinished run) has ended. A broken stream goes on where it was.

        :raises ClientError: the service stays away, or the JWT has expired.
        """
        tries = 0
        while True:
            try:
                for event in self._stream(session, run, after):
                    after, tries = event["seq"], 0
                    yield event
            except httpx2.TransportError as error:
                if tries == len(_PAUSES):
                    raise _away(self.url, error) from None
                time.sleep(_PAUSES[tries])
                tries += 1
            else:
                return

    def _stream(self, session: str, run: str | None, after: int) -> Iterator[Json]:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        timeout = httpx2.Timeout(30.0, connect=10.0, read=_SILENCE_SECONDS)
        parameters = _given({"run_id": run})
        path = f"/sessions/{session}/events"
        request = self._http.build_request("GET", path, headers=headers, params=parameters, timeout=timeout)
        with contextlib.closing(self._http.send(request, stream=True)) as answer:
            if answer.status_code >= 400:
                answer.read()
                raise _refusal(answer)
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    yield json.loads(line[5:])
                elif line.startswith(": the token has expired"):
                    raise refused("your JWT has expired; run `gitward login` again, then `gitward logs -f`")

    def _json(self, method: str, path: str, **request: Any) -> Json:
        with self._answer(method, path, **request) as answer:
            answer.read()
            try:
                found = answer.json()
            except ValueError:
                raise unreachable(f"{self.url} does not answer as Gitward does; is the address right?") from None
            return found if isinstance(found, dict) else {"items": found}

    @contextlib.contextmanager
    def _answer(self, method: str, path: str, **request: Any) -> Iterator[httpx2.Response]:
        try:
            with self._http.stream(method, path, **request) as answer:
                if answer.status_code >= 300:
                    answer.read()
                    raise _refusal(answer)
                yield answer
        except httpx2.TransportError as error:
            raise _away(self.url, error) from None


def _given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}


def _away(url: str, error: httpx2.TransportError) -> ClientError:
    return unreachable(
        f"{url} does not answer ({type(error).__name__}); start the service with `gitward serve`, or name another "
        "address by `gitward login URL` or GITWARD_URL"
    )


def _refusal(answer: httpx2.Response) -> ClientError:
    """The problem document's own sentences."""
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    detail = plain(str(problem.get("detail") or f"the service answered {answer.status_code}"))
    fields = [f"{plain(str(each.get('field')))}: {plain(str(each.get('message')))}" for each in _errors(problem)]
    if answer.status_code == 401:
        return refused(f"{detail} Run `gitward login` first, or set GITWARD_JWT.")
    sentence = "; ".join(fields) if fields else detail
    if answer.status_code == 409:
        return Conflict(sentence, exit=Exit.USAGE)
    return unreachable(sentence) if answer.status_code >= 500 else refused(sentence)


def _errors(problem: Json) -> list[Json]:
    errors = problem.get("errors")
    return [each for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []
