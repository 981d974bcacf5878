"""The one grant that a broker serves, changed by its worker's messages. Every message may be repeated."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import math
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any

from gitward.broker.server.dispatcher import Dispatcher
from gitward.broker.server.egress.proxies import EgressProxies
from gitward.broker.server.egress.proxy import Proxy
from gitward.broker.server.forwarder import Forwarder
from gitward.broker.server.github_handler import GitHubHandler
from gitward.broker.server.inject.handler import InjectHandler
from gitward.broker.server.inspection.requests import InspectionRequests, Send
from gitward.broker.server.listener import Listener
from gitward.broker.server.outgoing_route import route_of
from gitward.broker.server.reporter import Reporter
from gitward.broker.server.tls import server_context
from gitward.broker.wire.config import BrokerConfig
from gitward.broker.wire.narrowing import narrowing_of
from gitward.grants import channel
from gitward.grants.channel import Message
from gitward.grants.grant import ExactPush, Grant
from gitward.grants.lease import Lease
from gitward.grants.model_budget import ModelBudget
from gitward.secrets import Secret
from gitward.telemetry.logs import mask_secrets

log = logging.getLogger(__name__)

_LOOK_SECONDS = 60.0  # at a lease without an end

_OPENING = frozenset({"open", "refresh", "attach"})


class _Open:
    """The grant with its listeners."""

    def __init__(
        self,
        *,
        door: Dispatcher,
        gate: GitHubHandler,
        injector: InjectHandler,
        egress: EgressProxies | None,
        forwarder: Forwarder,
        reporter: Reporter,
        tls: ssl.SSLContext,
        held: Callable[[], bool],
        login: Sequence[Secret],
    ) -> None:
        self.gate = gate
        self._door = door
        self._login = tuple(login)
        self._held = held
        self._injector = injector
        self._egress = egress
        self._forwarder = forwarder
        self._reporter = reporter
        self._tls = tls
        self._listeners: dict[str, list[Listener | Proxy]] = {}

    def attach(self, name: str, fds: list[int]) -> None:
        if name in self._listeners:
            channel.close_all(fds)
            return
        listeners = self._listeners[name] = []
        for fd in fds:
            listeners.append(self._listener(socket.socket(fileno=fd)))
            listeners[-1].start()

    def _listener(self, sock: socket.socket) -> Listener | Proxy:
        port = int(sock.getsockname()[1])
        if self._egress is not None and self._egress.port == port:
            return self._egress.proxy(sock, held=self._held, closed=lambda: self.gate.closed)
        return Listener(sock, self._tls, functools.partial(self._door.handle, port=port), self._door.malformed)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return (*self._login, *self.gate.secrets, *self._injector.secrets)

    def limit_injection(self, message: Message) -> None:
        if message["op"] == "budget":
            self._injector.tell_budget(ModelBudget.of_message(message["budget"]))
        else:
            self._injector.hold_back(bool(message["held"]))

    async def narrow(self, push: ExactPush) -> None:
        """After it returned nothing but this push is possible: what was under way has ended. Raises ValueError."""
        if not self.gate.narrow(push):
            return
        async with asyncio.TaskGroup() as group:
            for listeners in self._listeners.values():
                for listener in listeners:
                    group.create_task(listener.disconnect())

    async def detach(self, name: str) -> None:
        for listener in self._listeners.pop(name, ()):
            await listener.stop()

    async def close(self) -> None:
        for name in list(self._listeners):
            await self.detach(name)
        self.gate.forget()
        await self._injector.close()
        if self._egress is not None:
            self._egress.close()
        await self._forwarder.close()
        await self._reporter.finish()


class LeaseOver(Exception):
    """The grant ended with the worker's lease, and this process ends: no order is answered any more."""


class GrantService:
    """Holds the grant that the worker opened, until it closes it or is gone."""

    def __init__(self, config: BrokerConfig, upstream_tls: ssl.SSLContext | None, send: Send) -> None:
        self._config = config
        self._upstream_tls = upstream_tls
        self._send = send
        self._questions = InspectionRequests(send)
        self._open: _Open | None = None
        self._lease = Lease()
        self._is_over = False  # a grant was open when the lease ended
        self._renewed = asyncio.Event()

    async def watch(self) -> None:
        """Returns when the worker's lease is over while the grant is open; it is closed then.

        Worker and parent may be stopped, and say nothing. If not, the worker has another broker, and tells it all.
        """
        while True:
            self._renewed.clear()
            if self._lease.held:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(self._lease.left, _LOOK_SECONDS)):
                        await self._renewed.wait()
            elif self._open is not None:
                log.warning("The worker's lease is over: the grant is closed")
                self._is_over = True
                await self.stop()
                return
            else:
                await self._renewed.wait()

    def renew(self, message: Message) -> None:
        """What the message "until" says. Not an order among others: it must not wait behind one that takes time.

        For a grant that was open when the lease ended it comes too late: `watch` ends this process.
        """
        if self._lease.held or self._open is None:
            moment = message["moment"]
            self._lease = Lease(math.inf if moment is None else moment)
            self._renewed.set()

    async def take(self, message: Message, fds: list[int]) -> None:
        """Does what one message says. Takes `fds` over. Raises ValueError or KeyError for what makes no sense.

        :raises PermissionError: it opens something, and the worker's lease is over.
        :raises LeaseOver: so it is, and a grant was open. The worker may hold a newer lease, of which this process did
            not hear while it was stopped; it learns from the process's end that its orders are for another one.
        """
        if self._is_over or (self._open is not None and not self._lease.held):
            channel.close_all(fds)
            raise LeaseOver
        if message["op"] in _OPENING and not self._lease.held:
            channel.close_all(fds)
            raise PermissionError("the worker's lease is over")
        match message["op"]:
            case "open":
                self._open_grant(message)
            case "refresh":
                self._opened.gate.refresh(Secret(message["token"]))
                self._know()
            case "budget" | "hold_back":
                self._opened.limit_injection(message)
            case "narrow":
                push = narrowing_of(message, fds)
                await self._opened.narrow(push)
                return
            case "attach":
                self._opened.attach(message["name"], fds)
                return
            case "detach":
                await self._opened.detach(message["name"])
            case "close":
                await self.stop()
            case "answer":
                self._questions.answered(message, fds)
                return
            case "ping":
                pass
            case other:
                raise ValueError(f"unknown message {other!r}")
        channel.close_all(fds)

    async def stop(self) -> None:
        """Nothing is forwarded any more."""
        opened, self._open = self._open, None
        if opened is not None:
            await opened.close()

    @property
    def _opened(self) -> _Open:
        if self._open is None:
            raise ValueError("no grant is open")
        return self._open

    def _open_grant(self, message: Message) -> None:
        if self._open is not None:
            raise ValueError("a broker serves one grant")
        grant = _grant(message["grant"])
        route = route_of(self._config, message["proxy_login"])
        forwarder = Forwarder(self._config, self._upstream_tls, route)
        injected = [None if secret is None else Secret(secret) for secret in message["injected"]]
        login = () if route.proxy is None else route.proxy.secrets
        reporter = Reporter(grant.run_id, self._send, lasting=[*login, *(secret for secret in injected if secret)])
        gate = GitHubHandler(
            grant=grant,
            config=self._config,
            credential=Secret(message["credential"]),
            token=Secret(message["token"]),
            forwarder=forwarder,
            reporter=reporter,
            questions=self._questions,
        )
        gate.refresh(Secret(message["successor"]))
        injector = InjectHandler(
            self._config.inject,
            injected,
            tls=self._upstream_tls,
            reporter=reporter,
            closed=lambda: gate.closed,
            route=route,
            is_agent=grant.is_agent,
            budget=ModelBudget.of_message(message["budget"]),
        )
        door = Dispatcher(
            run_id=grant.run_id,
            behind=(injector, gate),
            reporter=reporter,
            expires_at=grant.expires_at,
            held=lambda: self._lease.held,
        )
        proxied = self._config.proxy_port is not None
        self._open = _Open(
            door=door,
            gate=gate,
            injector=injector,
            egress=EgressProxies.of(self._config, route, grant, reporter) if proxied else None,
            forwarder=forwarder,
            reporter=reporter,
            tls=server_context(message["leaf"], message["key"]),
            held=lambda: self._lease.held,
            login=login,
        )
        self._know()

    def _know(self) -> None:
        mask_secrets(self._opened.secrets)


def _grant(fields: dict[str, Any]) -> Grant:
    return Grant(**{**fields, "readable": tuple(fields["readable"]), "issues": tuple(fields["issues"])})
