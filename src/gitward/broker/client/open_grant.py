"""An open grant: one broker process, kept alive, which knows this grant and no other."""

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
from dataclasses import asdict, dataclass, replace

from gitward.broker.client.authority import issue
from gitward.broker.client.inspection import Inspections
from gitward.broker.client.memory_limits import BrokerMemory
from gitward.broker.client.parent import Parent
from gitward.broker.client.process import BrokerError, Process
from gitward.broker.client.process_keeper import PING_SECONDS, REPLACE_SECONDS, ProcessKeeper
from gitward.broker.wire.config import BrokerConfig, BrokerEvent
from gitward.broker.wire.inspection import is_request
from gitward.broker.wire.narrowing import narrowing_messages
from gitward.broker.wire.upstream import handover
from gitward.grants import channel, clock
from gitward.grants.channel import ChannelClosed, Message
from gitward.grants.endpoint import Address, ports_of
from gitward.grants.grant import ExactPush, Grant, new_run_credential
from gitward.grants.inspection import Inspector
from gitward.grants.model_budget import ModelBudget
from gitward.secrets import Secret

log = logging.getLogger(__name__)

_STARTS = 4  # of a grant's first broker, at most


@dataclass(frozen=True, kw_only=True)
class SharedParts:
    """What all grants of a worker share."""

    config: BrokerConfig
    parent: Parent
    memory: BrokerMemory
    answer_seconds: float  # a broker that takes longer to answer hangs, and is replaced
    ping_seconds: float = PING_SECONDS  # between two looks whether it still answers
    until: Callable[[], float]  # of the boot clock: the end of the worker's lease
    proxy_login: Secret | None  # "user:password" at the proxy of `config`
    extra_roots: bytes  # certificates, PEM, that sandboxes need for other hosts


class OpenGrant:
    """The Endpoint that a sandbox takes.

    What its broker must know (tokens, listeners, the push that is left) is kept here, so that one that ended can be
    replaced: every call first notes the wanted state, then tells the process; messages may be repeated without harm.
    """

    def __init__(
        self,
        house: SharedParts,
        grant: Grant,
        token: Secret,
        on_event: Callable[[BrokerEvent], None],
        *,
        inspector: Inspector | None,
        injected: Sequence[Secret | None],
        budget: Callable[[], ModelBudget] = ModelBudget,
        on_close: Callable[[OpenGrant], None],
    ) -> None:
        self.grant = grant
        self.credential = new_run_credential()  # stands for the token; in login mode for a restricted grant only
        self._house = house
        self._first = token  # in login mode the sandbox has it, and goes on presenting it
        self._token = token
        self._injected = tuple(injected)
        self._budget = budget
        self._on_event = on_event
        self._on_close = on_close
        self._inspections = Inspections(inspector)
        hosts = (address.host for address in house.config.served)
        self._certificates = issue(hosts, expires_at=time.time() + grant.expires_at - clock.seconds())
        self._names = itertools.count(1)
        self._listeners: dict[str, tuple[socket.socket, ...]] = {}
        self._narrowed: ExactPush | None = None
        self._held_back = False
        self._closed = False
        self._upkeep = ProcessKeeper(
            "the broker", self._new_broker, answer_seconds=house.answer_seconds, ping_seconds=house.ping_seconds
        )
        self._telling: asyncio.Task[None] | None = None

    @property
    def addresses(self) -> tuple[Address, ...]:
        return self._house.config.served

    @property
    def proxy_port(self) -> int | None:
        return self._house.config.proxy_port

    @property
    def ca_pem(self) -> bytes:
        return self._certificates.ca_pem + self._house.extra_roots

    @property
    def pid(self) -> int | None:
        """Of the present broker."""
        return self._upkeep.process.pid if self._upkeep.process else None

    @property
    def restarts(self) -> int:
        """How often the broker was replaced."""
        return self._upkeep.restarts

    async def replaced(self, pid: int) -> None:
        """Waits until the broker is another process than `pid`, and knows everything."""
        await self._upkeep.replaced(pid)

    async def start(self) -> None:
        """After it returned there is a broker that knows this grant. Raises BrokerError."""
        try:
            await self._start()
        except OSError as error:
            raise BrokerError(f"no broker could be started: {error}") from error

    async def _start(self) -> None:
        """One that ends, or hangs, before it knows the grant is made anew, as it is later on."""
        for more in reversed(range(_STARTS)):
            self._require_open()
            try:
                await self._upkeep.start()
            except ChannelClosed as error:
                if not more:
                    raise
                log.warning("a broker did not come to know its grant, and another one is made: %s", error)
            else:
                break
        if self._closed:
            await self._upkeep.stop()
            self._require_open()

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
                await self._deliver(message, fds)
        except BaseException:
            await self.detach(name)
            raise
        return name

    async def detach(self, name: str) -> None:
        """After it returned, the listeners' connections have ended."""
        for listener in self._listeners.pop(name, ()):
            listener.close()
        if not self._closed:
            await self._deliver({"op": "detach", "name": name}, takes_away=True)

    async def refresh(self, token: Secret) -> None:
        """The token for all requests from now on."""
        self._require_open()
        self._token = token
        await self._deliver({"op": "refresh", "token": handover(token)})

    async def tell_budget(self) -> None:
        """More or less is left for models than the broker knows."""
        self._require_open()
        await self._deliver({"op": "budget", "budget": self._budget().to_message()})

    async def hold_back(self, held: bool) -> None:
        """While it is held back, the grant leads to no host for which the broker has a key."""
        self._require_open()
        self._held_back = held
        await self._deliver(self._hold_message())

    def _hold_message(self) -> Message:
        return {"op": "hold_back", "held": self._held_back}

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
        with narrowing_messages(push) as (message, fds):
            await self._deliver(message, fds)

    async def close(self) -> None:
        """After it returned nothing is forwarded any more, and the broker has ended, and the token with it."""
        if self._closed:
            return
        self._closed = True
        for name in list(self._listeners):
            for listener in self._listeners.pop(name):
                listener.close()
        try:
            await self._inspections.close()
            await self._say_goodbye()
        finally:
            await self._end()

    async def _end(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.wait([self._telling])
        try:
            await self._upkeep.stop()
        finally:
            self._on_close(self)

    def renew(self) -> None:
        """The house has another end of the lease: the broker is told."""
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell_until(), name="broker's lease")

    async def _tell_until(self) -> None:
        if (broker := self._upkeep.process) is not None:
            with contextlib.suppress(ChannelClosed, BrokerError):  # a replacement is told when it starts
                await broker.call(self._until_message(), seconds=self._house.answer_seconds)

    async def _say_goodbye(self) -> None:
        """So that the broker tells what it counted; one that hangs is killed, which closes the grant as well."""
        if (broker := self._upkeep.process) is not None and self._upkeep.runs:
            with contextlib.suppress(ChannelClosed, BrokerError):
                await broker.call({"op": "close"}, seconds=self._house.answer_seconds)

    def _require_open(self) -> None:
        if self._closed:
            raise BrokerError("the grant is closed")

    async def _deliver(self, message: Message, fds: Sequence[int] = (), *, takes_away: bool = False) -> None:
        """Tells the broker. If it ends meanwhile, its replacement is told; it may know already."""
        if self._telling is not None:
            await asyncio.wait([self._telling])  # a new lease comes before what is done under it
        try:
            async with asyncio.timeout(REPLACE_SECONDS):
                while not await self._delivered(message, fds, takes_away=takes_away):
                    pass
        except TimeoutError as error:
            raise BrokerError("the broker ended and could not be replaced in time") from error

    async def _delivered(self, message: Message, fds: Sequence[int], *, takes_away: bool) -> bool:
        broker = self._upkeep.process
        if broker is None:
            raise BrokerError("the broker is not running")
        try:
            await broker.call(message, fds, seconds=self._house.answer_seconds)
        except ChannelClosed:
            if clock.seconds() >= self._house.until():  # it ended with the lease; no other one will know of the grant
                if takes_away:
                    return True
                raise BrokerError("the worker's lease is over") from None
            await self._upkeep.replaced(broker.pid)
            return False
        return True

    def _require_lease(self) -> None:
        if clock.seconds() >= self._house.until():
            raise BrokerError("the worker's lease is over")

    async def _new_broker(self) -> Process:
        """A broker that knows everything. Raises BrokerError, ChannelClosed and OSError."""
        self._require_lease()
        group = await self._house.memory.group()
        try:
            broker = await self._house.parent.fork(group, self._hear)
        except BaseException:
            self._house.memory.remove(group)
            raise
        broker.on_end = functools.partial(self._house.memory.remove, group)
        try:
            await self._tell(broker)
        except BaseException:
            await broker.stop()
            raise
        return broker

    async def _tell(self, broker: Process) -> None:
        """Everything that a new process must know of this grant."""
        seconds = self._house.answer_seconds
        until = self._until_message()
        await broker.call(until, seconds=seconds)
        await broker.call(self._open_message(), seconds=seconds)
        if self._held_back:  # before there is a listener
            await broker.call(self._hold_message(), seconds=seconds)
        if self._narrowed is not None:  # the same
            with narrowing_messages(self._narrowed) as (message, fds):
                await broker.call(message, fds, seconds=seconds)
        for name in list(self._listeners):
            if name in self._listeners:  # it may be detached while we wait
                with self._attach_message(name) as (message, fds):
                    await broker.call(message, fds, seconds=seconds)
        if self._until_message() != until:
            await broker.call(self._until_message(), seconds=seconds)

    def _until_message(self) -> Message:
        until = self._house.until()
        return {"op": "until", "moment": None if until == math.inf else until}

    def _open_message(self) -> Message:
        login = self._house.proxy_login
        return {
            "op": "open",
            "grant": asdict(self.grant),
            "credential": self.credential,
            "token": handover(self._first),
            "successor": handover(self._token),
            "injected": [None if secret is None else handover(secret) for secret in self._injected],
            "budget": self._budget().to_message(),
            "proxy_login": None if login is None else handover(login),
            "leaf": self._certificates.leaf_pem.decode(),
            "key": self._certificates.key_pem.decode(),
        }

    @contextlib.contextmanager
    def _attach_message(self, name: str) -> Iterator[tuple[Message, list[int]]]:
        # Descriptors of its own: the message may wait while the listeners are detached.
        fds = [os.dup(listener.fileno()) for listener in self._listeners[name]]
        try:
            yield {"op": "attach", "name": name}, fds
        finally:
            channel.close_all(fds)

    def _hear(self, message: Message, fds: list[int], broker: Process) -> None:
        """A question, or an event."""
        if is_request(message):
            self._inspections.answer(message, fds, functools.partial(broker.call, seconds=self._house.answer_seconds))
            return
        channel.close_all(fds)  # only a question has some
        event = BrokerEvent(**{**message["event"], "run_id": self.grant.run_id})
        if event.type == "issue.opened":  # a replacement must know it
            self.grant = replace(self.grant, issues=(*self.grant.issues, int(event.data["number"])))
        try:
            self._on_event(event)
        except Exception:  # the callback is foreign; the channel must go on
            log.exception("the event %s of run %s was lost", event.type, event.run_id)
