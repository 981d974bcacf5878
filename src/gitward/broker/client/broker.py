"""The worker's half: starts the broker process, opens grants in it, and replaces it when it crashes."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import logging
import math
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

from gitward.broker.client.authority import certificates_of, issue
from gitward.broker.client.child import PROGRAM, BrokerError, Child
from gitward.broker.client.inspections import Inspections
from gitward.broker.wire.config import BrokerConfig, BrokerEvent, EgressConfig, InjectConfig, ProxyConfig
from gitward.broker.wire.narrowing import told
from gitward.broker.wire.upstream import handover
from gitward.grants import channel, clock
from gitward.grants.channel import ChannelClosed, Message
from gitward.grants.endpoint import Address, ports_of
from gitward.grants.grant import ExactPush, Grant, new_run_credential
from gitward.grants.inspection import Inspector
from gitward.secrets import Secret

log = logging.getLogger(__name__)

__all__ = [
    "Broker",
    "BrokerConfig",
    "BrokerError",
    "BrokerEvent",
    "EgressConfig",
    "InjectConfig",
    "OpenGrant",
    "ProxyConfig",
]

_REPLACE_SECONDS = 30.0  # how long a call waits for the replacement of a crashed process
_PING_SECONDS = 30.0  # between two looks whether an idle process still answers
_TAKING_AWAY = frozenset({"detach", "close"})
_PAUSES = (0.0, 0.1, 0.5, 1.0, 5.0)  # seconds before each try of a replacement; then the last again


class OpenGrant:
    """A grant that is open in the broker: the Endpoint that a sandbox takes."""

    def __init__(
        self,
        broker: Broker,
        grant: Grant,
        token: Secret,
        on_event: Callable[[BrokerEvent], None],
        *,
        inspector: Inspector | None,
        injected: Sequence[Secret | None],
    ) -> None:
        self.grant = grant
        self.credential = new_run_credential()  # stands for the token; in login mode for a restricted grant only
        self._broker = broker
        self._first = token  # in login mode the sandbox has it, and goes on presenting it
        self._token = token
        self._injected = tuple(injected)
        self._on_event = on_event
        self._inspections = Inspections(inspector)
        hosts = (address.host for address in broker.config.served)
        self._certificates = issue(hosts, expires_at=time.time() + grant.expires_at - clock.seconds())
        self._names = itertools.count(1)
        self._listeners: dict[str, tuple[socket.socket, ...]] = {}
        self._narrowed: ExactPush | None = None
        self._closed = False

    @property
    def addresses(self) -> tuple[Address, ...]:
        return self._broker.config.served

    @property
    def proxy_port(self) -> int | None:
        return self._broker.config.proxy_port

    @property
    def ca_pem(self) -> bytes:
        return self._certificates.ca_pem + self._broker.extra_roots

    async def attach(self, listeners: Sequence[socket.socket]) -> str:
        """Serves connections of these listening TCP sockets; their ports must be among those of `ports_of`."""
        self._require_open()
        known = ports_of(self)
        for listener in listeners:
            if listener.getsockname()[1] not in known:
                raise ValueError(f"a listener on port {listener.getsockname()[1]}; expected {known}")
        name = str(next(self._names))
        # Our own copies: a replacement of the process gets them, whatever the caller does meanwhile.
        self._listeners[name] = tuple(listener.dup() for listener in listeners)
        try:
            with self._attach_message(name) as (message, fds):
                await self._broker._deliver(message, fds)
        except BaseException:
            await self.detach(name)
            raise
        return name

    async def detach(self, name: str) -> None:
        """After it returned, the listeners' connections have ended."""
        for listener in self._listeners.pop(name, ()):
            listener.close()
        if not self._closed:
            await self._broker._deliver({"op": "detach", "run_id": self.grant.run_id, "name": name})

    async def refresh(self, token: Secret) -> None:
        """The token for all requests from now on."""
        self._require_open()
        self._token = token
        await self._broker._deliver(
            {"op": "refresh", "run_id": self.grant.run_id, "token": handover(token)},
        )

    async def narrow(self, push: ExactPush) -> None:
        """After it returned the grant allows this push, with what git and git-lfs ask around it, and nothing else.

        Requests that were under way have ended, on every listener. It cannot be undone; another push can take the
        place of this one. The credential is `credential`, in login mode too.

        :raises ValueError: the grant does not allow the push anyway.
        """
        self._require_open()
        if self.grant.fetch_only or push.ref != self.grant.push_ref:
            raise ValueError(f"this grant cannot be narrowed to a push of {push.ref}")
        self._narrowed = push
        with told(self.grant.run_id, push) as (message, fds):
            await self._broker._deliver(message, fds)

    async def close(self) -> None:
        """After it returned nothing is forwarded any more, and the process has dropped the token."""
        if self._closed:
            return
        self._closed = True
        for name in list(self._listeners):
            for listener in self._listeners.pop(name):
                listener.close()
        await self._inspections.close()
        await self._broker._forget(self)

    def _require_open(self) -> None:
        if self._closed:
            raise BrokerError("the grant is closed")

    async def _tell(self, child: Child, seconds: float) -> None:
        """Everything that a new process must know of this grant."""
        if self._closed:
            return
        await child.call(self._open_message(), seconds=seconds)
        if self._narrowed is not None:  # before there is a listener
            with told(self.grant.run_id, self._narrowed) as (message, fds):
                await child.call(message, fds, seconds=seconds)
        for name in list(self._listeners):
            if name in self._listeners:  # it may be detached while we wait
                with self._attach_message(name) as (message, fds):
                    await child.call(message, fds, seconds=seconds)

    def _open_message(self) -> Message:
        return {
            "op": "open",
            "grant": asdict(self.grant),
            "credential": self.credential,
            "token": handover(self._first),
            "successor": handover(self._token),
            "injected": [None if secret is None else handover(secret) for secret in self._injected],
            "leaf": self._certificates.leaf_pem.decode(),
            "key": self._certificates.key_pem.decode(),
        }

    @contextlib.contextmanager
    def _attach_message(self, name: str) -> Iterator[tuple[Message, list[int]]]:
        # Descriptors of its own: the message may wait while the listeners are detached.
        fds = [os.dup(listener.fileno()) for listener in self._listeners[name]]
        try:
            yield {"op": "attach", "run_id": self.grant.run_id, "name": name}, fds
        finally:
            channel.close_all(fds)


class Broker:
    """One broker process, kept alive.

    What it must know (grants, tokens, listeners) is kept here, so that a crashed process can be replaced: every
    call first notes the wanted state, then tells the process; messages may be repeated without harm.
    """

    def __init__(
        self,
        config: BrokerConfig,
        *,
        answer_seconds: float = 10.0,
        program: Sequence[str] = PROGRAM,
        proxy_login: Secret | None = None,
    ) -> None:
        """A process that does not answer a call within `answer_seconds` hangs, and is replaced like a crashed one.

        `program` starts it: another one than ours shows what a broker with a mistake in its policy lets through.

        :param proxy_login: "user:password" at the proxy of `config`.
        """
        self._program = program
        self._proxy_login = proxy_login
        self.config = config
        self.restarts = 0  # how often the process was replaced
        self.runs = False  # whether there is a process that answers
        self.extra_roots = b""  # certificates, PEM, that sandboxes need for other hosts; read at the start
        self._answer_seconds = answer_seconds
        self._grants: dict[str, OpenGrant] = {}
        self._child: Child | None = None
        self._replacement = asyncio.Condition()
        self._supervising: asyncio.Task[None] | None = None
        self._until = math.inf  # of the boot clock; then the process forgets every grant by itself
        self._telling: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Of the present process."""
        return self._child.pid if self._child else None

    async def start(self) -> None:
        """Starts the process and waits until it answers. Raises BrokerError."""
        if self.config.ca_file and self.config.proxy_port:
            self.extra_roots = await asyncio.to_thread(certificates_of, self.config.ca_file)
        self._child = await self._new_child()
        self.runs = True
        self._supervising = asyncio.create_task(self._supervise(), name="broker supervisor")

    async def stop(self) -> None:
        """Closes every grant and waits for the process to end."""
        if self._supervising:
            self._supervising.cancel()
            await asyncio.wait([self._supervising])
            self._supervising = None
        if self._telling:
            self._telling.cancel()
            await asyncio.wait([self._telling])
        if self._child:
            await self._child.stop()
            self._child = None
        async with self._replacement:
            self._replacement.notify_all()
        for grant in list(self._grants.values()):
            await grant.close()

    async def open(
        self,
        grant: Grant,
        token: Secret,
        on_event: Callable[[BrokerEvent], None],
        inspector: Inspector | None = None,
        *,
        injected: Sequence[Secret | None] = (),
    ) -> OpenGrant:
        """Lets the run use GitHub as far as `grant` says. `on_event` is called in this loop and must not block.

        Without an inspector, nothing can be pushed by a grant that does not allow workflows to be changed.

        :param injected: the secrets of `config.inject`, in its order; None for one that could not be read.
        """
        if self._telling is not None:
            await asyncio.wait([self._telling])  # a new lease comes before what is done under it
        if self._child is None:
            raise BrokerError("the broker is not running")
        if grant.run_id in self._grants:
            raise BrokerError(f"a grant of run {grant.run_id} is open already")
        opened = OpenGrant(self, grant, token, on_event, inspector=inspector, injected=injected)
        self._grants[grant.run_id] = opened
        try:
            await self._deliver(opened._open_message())
        except BaseException:
            await opened.close()
            raise
        return opened

    def act_until(self, moment: float) -> None:
        """The process forgets every grant at this moment of the boot clock, whatever becomes of this one.

        To be called again with a later moment before that.
        """
        self._until = moment
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell_until(), name="broker's lease")

    async def _tell_until(self) -> None:
        if self._child is not None:
            with contextlib.suppress(ChannelClosed, BrokerError):  # a replacement is told when it starts
                await self._child.call(self._until_message(), seconds=self._answer_seconds)

    def _until_message(self) -> Message:
        return {"op": "until", "moment": None if self._until == math.inf else self._until}

    async def replaced(self, pid: int) -> None:
        """Waits until the process is another one than `pid`, and knows everything."""
        async with self._replacement:
            await self._replacement.wait_for(lambda: self.pid != pid)

    async def _forget(self, opened: OpenGrant) -> None:
        try:
            if self._child:
                await self._deliver({"op": "close", "run_id": opened.grant.run_id})
        finally:
            self._grants.pop(opened.grant.run_id, None)

    async def _deliver(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Tells the process. If it crashes meanwhile, its replacement is told; it may know already."""
        try:
            async with asyncio.timeout(_REPLACE_SECONDS):
                while not await self._delivered(message, fds):
                    pass
        except TimeoutError as error:
            raise BrokerError("the broker process crashed and could not be replaced in time") from error

    async def _delivered(self, message: Message, fds: Sequence[int]) -> bool:
        child = self._child
        if child is None:
            raise BrokerError("the broker is not running")
        try:
            await child.call(message, fds, seconds=self._answer_seconds)
        except ChannelClosed:
            if clock.seconds() >= self._until:  # it ended because the lease is over; no other one will know of grants
                if message["op"] in _TAKING_AWAY:
                    return True
                raise BrokerError("the worker's lease is over") from None
            await self.replaced(child.pid)
            return False
        return True

    async def _new_child(self) -> Child:
        return await Child.start(
            self.config, self._dispatch, self._question, self._program, proxy_login=self._proxy_login
        )

    async def _supervise(self) -> None:
        while True:
            assert self._child is not None
            status = await self._end_of(self._child)
            self.runs = False
            log.error("the broker process ended (exit status %d) and is replaced", status)
            child = await self._replace()
            async with self._replacement:
                self._child = child
                self.restarts += 1
                self.runs = True
                self._replacement.notify_all()

    async def _end_of(self, child: Child) -> int:
        """The exit status of a process that crashed, or was ended because it hangs."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PING_SECONDS):
                    return await child.ended()
            with contextlib.suppress(ChannelClosed):
                await child.call({"op": "ping"}, seconds=self._answer_seconds)

    async def _replace(self) -> Child:
        for pause in itertools.chain(_PAUSES, itertools.repeat(_PAUSES[-1])):
            await asyncio.sleep(pause)
            try:
                child = await self._new_child()
            except (BrokerError, OSError) as error:
                log.warning("no new broker process: %s", error)
                continue
            try:
                await self._tell_all(child)
            except (BrokerError, ChannelClosed) as error:
                log.warning("the new broker process failed: %s", error)
                await child.stop()
            except BaseException:
                await child.stop()
                raise
            else:
                return child
        raise AssertionError("the pauses do not end")

    async def _tell_all(self, child: Child) -> None:
        await child.call(self._until_message(), seconds=self._answer_seconds)
        for opened in list(self._grants.values()):
            await opened._tell(child, self._answer_seconds)

    def _question(self, question: Message, fds: list[int], child: Child) -> None:
        opened = self._grants.get(question["run_id"])
        if opened is None:
            channel.close_all(fds)
            return
        tell = functools.partial(child.call, seconds=self._answer_seconds)
        opened._inspections.take(question, fds, tell)

    def _dispatch(self, event: BrokerEvent) -> None:
        opened = self._grants.get(event.run_id)
        if opened is None:
            return
        try:
            opened._on_event(event)
        except Exception:  # the callback is foreign; the channel must go on for other runs
            log.exception("the event %s of run %s was lost", event.type, event.run_id)
