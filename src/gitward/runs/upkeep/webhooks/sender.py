"""Sends what is due, a few at a time; a receiver that hangs costs its own owner a turn, and nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from urllib.parse import urlsplit

import httpx2

from gitward.broker.policy.egress.addresses import Address, Reach
from gitward.broker.server.egress.resolver import SystemResolver
from gitward.runs.upkeep.webhooks.messages import request_for
from gitward.sessions import webhooks
from gitward.sessions.model import Owner, now
from gitward.sessions.webhook_targets import host_of
from gitward.sessions.webhooks import OF_SESSION, Callback, Due
from gitward.store.database import PASSING_ERRORS, Database, Transaction

log = logging.getLogger(__name__)

_ANSWER_SECONDS = 15.0  # for a name, a connection and an answer's head
_AT_ONCE = 16
_OF_ONE_OWNER = 3
_LOOKED_AT = 200  # due deliveries, of which those that may be sent are taken
_GONE = 410  # the receiver wants no more of them (Standard Webhooks)
_LONGEST_WISH = 3600.0  # seconds that a receiver may ask for


class Sender:
    """One for each worker; together they send each delivery at least once. `stop` ends what is under way."""

    def __init__(
        self,
        database: Database,
        *,
        targets: Mapping[str, Callback],
        session_url: str,
        reach: Reach,
        tls: Callable[[], ssl.SSLContext],
    ) -> None:
        """:param targets: the server's own, by their names.
        :param reach: which addresses may be connected to.
        """
        self._database, self._targets, self._session_url, self._reach = database, targets, session_url, reach
        self._tls = tls
        self._resolver = SystemResolver()  # in threads of its own: a name that hangs takes none of those that runs need
        self._under_way: dict[asyncio.Task[None], Owner] = {}
        self._http: httpx2.AsyncClient | None = None

    async def send_due(self) -> None:
        """Begins to send whatever is due and has room. To be called again and again."""
        if len(self._under_way) >= _AT_ONCE or self._database.is_low:
            return
        found = await self._database.read(partial(webhooks.due, at=now(), limit=_LOOKED_AT))
        busy = Counter(self._under_way.values())
        for due in found:
            if len(self._under_way) >= _AT_ONCE:
                return
            if busy[due.owner] >= _OF_ONE_OWNER:
                continue
            if await self._database.write(partial(_take, due=due)):
                busy[due.owner] += 1
                task = asyncio.create_task(self._send(due), name="webhook")
                self._under_way[task] = due.owner
                task.add_done_callback(lambda done: self._under_way.pop(done, None))

    async def stop(self) -> None:
        """What is under way is cut off; it is due again when its time has run out."""
        tasks = tuple(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._resolver.stop()
        if self._http is not None:
            await self._http.aclose()

    async def _send(self, due: Due) -> None:
        target = due.callback if due.delivery.target == OF_SESSION else self._targets.get(due.delivery.target)
        status: int | None = None
        problem: str | None = "it is not configured any more"
        again, wait = False, 0.0
        if target is not None:
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    status, wait = await self._post(due, target)
                problem, again = _judge(status)
            except TimeoutError:
                problem, again = f"{host_of(target.url)} did not answer within {_ANSWER_SECONDS:.0f} seconds", True
            except (httpx2.HTTPError, OSError, ssl.SSLError) as error:
                problem, again = f"{host_of(target.url)} could not be reached ({_kind(error)})", True
        try:
            came = partial(_note, due=due, status=status, problem=problem, again=again, wait=wait, at=now())
            await self._database.write(came)
        except PASSING_ERRORS as error:  # it is due again when its time has run out
            log.warning("What came of a webhook could not be noted (%s)", type(error).__name__)

    async def _post(self, due: Due, target: Callback) -> tuple[int, float]:
        """The answer's status, and how many seconds the receiver wants to be left alone."""
        parts = urlsplit(target.url)
        host, port = parts.hostname or "", parts.port or 443
        address = await self._address(host)
        message = request_for(due, target, session_url=self._session_url, at=now())
        literal = f"[{address}]" if address.version == 6 else str(address)
        url = parts._replace(netloc=f"{literal}:{port}").geturl()
        headers = {**message.headers, "Host": host_of(target.url)}
        named = {"sni_hostname": host}  # the certificate must be the name's
        http = self._client()
        request = http.build_request("POST", url, content=message.body, headers=headers, extensions=named)
        answer = await http.send(request, stream=True)
        with contextlib.suppress(httpx2.HTTPError):
            await answer.aclose()  # nobody reads what it says
        return answer.status_code, _wanted_pause(answer.headers.get("retry-after", ""))

    async def _address(self, host: str) -> Address:
        """One that may be reached; it is connected to as it was judged. Raises OSError."""
        allowed = self._reach.allowed(await self._resolver.resolve(host))
        if not allowed:
            raise _NotPublic
        return allowed[0]

    def _client(self) -> httpx2.AsyncClient:
        if self._http is None:
            transport = httpx2.AsyncHTTPTransport(verify=self._tls(), limits=httpx2.Limits(max_keepalive_connections=0))
            self._http = httpx2.AsyncClient(transport=transport, follow_redirects=False, trust_env=False)
        return self._http


class _NotPublic(OSError):
    """The host has no public address; GITWARD_EGRESS_PRIVATE opens private networks."""


def _judge(status: int) -> tuple[str | None, bool]:
    """Why it has not arrived, and whether another try may help."""
    if 200 <= status < 300:
        return None, False
    if status == _GONE:
        return "the receiver answered 410: it wants no more", False
    if 300 <= status < 400:
        return f"the receiver answered {status}, and redirects are not followed", True
    return f"the receiver answered {status}", True


def _wanted_pause(retry_after: str) -> float:
    """Of the header Retry-After in seconds (Slack sends it with 429); a date, or nonsense, asks for nothing."""
    if not retry_after.isascii() or not retry_after.isdecimal():
        return 0.0
    return min(float(retry_after[:9]), _LONGEST_WISH)


def _kind(error: Exception) -> str:
    return "no public address" if isinstance(error, _NotPublic) else type(error).__name__


def _take(tx: Transaction, due: Due) -> bool:
    return webhooks.take(tx, due.delivery, now())


def _note(
    tx: Transaction, *, due: Due, status: int | None, problem: str | None, again: bool, wait: float, at: datetime
) -> None:
    webhooks.note(tx, due.delivery, at, status=status, problem=problem, again=again, wait_seconds=wait)
