"""The worker's brokers: one process for each open grant, all forked from one warm parent."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence

from gitward.broker.client.authority import certificates_of
from gitward.broker.client.memory_limits import BrokerMemory
from gitward.broker.client.open_grant import OpenGrant, SharedParts
from gitward.broker.client.parent import PROGRAM, Parent
from gitward.broker.client.process import BrokerError
from gitward.broker.client.process_keeper import PING_SECONDS
from gitward.broker.wire.config import BrokerConfig, BrokerEvent
from gitward.grants import cgroups
from gitward.grants.grant import Grant
from gitward.grants.inspection import Inspector
from gitward.grants.model_budget import ModelBudget
from gitward.secrets import Secret

log = logging.getLogger(__name__)


class Brokers:
    """Opens grants. Each has a broker of its own, which no other run can hold, starve or look into."""

    def __init__(
        self,
        config: BrokerConfig,
        *,
        answer_seconds: float = 10.0,
        ping_seconds: float = PING_SECONDS,
        program: Sequence[str] = PROGRAM,
        proxy_login: Secret | None = None,
        find_cgroups: Callable[[], cgroups.Controller | None] = cgroups.find,
    ) -> None:
        """A process that does not answer a call within `answer_seconds` hangs, and is replaced like a crashed one;
        who says nothing is asked each `ping_seconds`.

        `program` starts the parent: another one than ours shows what a broker with a mistake in its policy lets
        through.

        :param proxy_login: "user:password" at the proxy of `config`.
        """
        self.config = config
        self._answer_seconds = answer_seconds
        self._proxy_login = proxy_login
        self._find_cgroups = find_cgroups
        self._ping_seconds = ping_seconds
        self.parent = Parent(config, answer_seconds=answer_seconds, ping_seconds=ping_seconds, program=program)
        self._house: SharedParts | None = None  # while it runs
        self._open: dict[str, OpenGrant] = {}
        self._replaced = 0  # brokers of grants that are closed
        self._until = math.inf  # of the boot clock; then every broker ends by itself

    @property
    def runs(self) -> bool:
        """Whether a broker can be had at once."""
        return self.parent.runs

    @property
    def restarts(self) -> int:
        """How often a broker was replaced while its run went on."""
        return self._replaced + sum(opened.restarts for opened in self._open.values())

    @property
    def open_grants(self) -> int:
        """How many there are, and so how many brokers."""
        return len(self._open)

    @property
    def pids(self) -> list[int | None]:
        """Of all processes that there are now: the parent's, then the brokers'."""
        return [self.parent.pid, *(opened.pid for opened in self._open.values())]

    async def start(self) -> None:
        """Starts the parent and waits until it answers. Raises BrokerError."""
        roots = b""
        if self.config.ca_file and self.config.proxy_port:
            roots = await asyncio.to_thread(certificates_of, self.config.ca_file)
        controller = await asyncio.to_thread(self._find_cgroups)
        await self.parent.start()
        self._house = SharedParts(
            config=self.config,
            parent=self.parent,
            memory=BrokerMemory(controller),
            answer_seconds=self._answer_seconds,
            ping_seconds=self._ping_seconds,
            until=lambda: self._until,
            proxy_login=self._proxy_login,
            extra_roots=roots,
        )

    async def stop(self) -> None:
        """Closes every grant and waits for every process to end."""
        house, self._house = self._house, None
        async with asyncio.TaskGroup() as group:
            for opened in tuple(self._open.values()):
                group.create_task(opened.close())
        await self.parent.stop()
        if house is not None:
            await house.memory.stop()

    async def open(
        self,
        grant: Grant,
        token: Secret,
        on_event: Callable[[BrokerEvent], None],
        inspector: Inspector | None = None,
        *,
        injected: Sequence[Secret | None] = (),
        budget: Callable[[], ModelBudget] = ModelBudget,
    ) -> OpenGrant:
        """Lets the run use GitHub as far as `grant` says. `on_event` is called in this loop and must not block.

        Without an inspector, nothing can be pushed by a grant that does not allow workflows to be changed.

        :param injected: the secrets of `config.inject`, in its order; None for one that could not be read.
        :param budget: what limits requests to models, and what was used by now; asked again for a replacement.
        :raises BrokerError: no broker can be had.
        """
        if self._house is None:
            raise BrokerError("the brokers are not running")
        if grant.run_id in self._open:
            raise BrokerError(f"a grant of run {grant.run_id} is open already")
        opened = OpenGrant(
            *(self._house, grant, token, on_event),
            inspector=inspector,
            injected=injected,
            budget=budget,
            on_close=self._closed,
        )
        self._open[grant.run_id] = opened
        try:
            await opened.start()
        except BaseException:
            await opened.close()
            raise
        return opened

    def act_until(self, moment: float) -> None:
        """Every broker ends at this moment of the boot clock, whatever becomes of this process and of the parent.

        To be called again with a later moment before that.
        """
        self._until = moment
        for opened in self._open.values():
            opened.renew()

    def _closed(self, opened: OpenGrant) -> None:
        self._replaced += opened.restarts
        self._open.pop(opened.grant.run_id, None)
