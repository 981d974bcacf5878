"""Where commands run: a ready supervisor with its sandbox, and the listeners that the broker has of it."""

from __future__ import annotations

import asyncio

from gitward.grants.endpoint import Endpoint
from gitward.sandboxes import descriptor_waits
from gitward.sandboxes.spare_supervisor import SpareSupervisor
from gitward.sandboxes.supervisor_handle import SupervisorHandle


class SupervisedPlace:
    """For one command, or for those of one series. `release` it in the end."""

    def __init__(self, link: SupervisorHandle, endpoint: Endpoint) -> None:
        self.link = link
        self._endpoint = endpoint
        self._attached: str | None = None

    async def attach(self) -> None:
        """Hands the listeners to the broker, unless it has them."""
        if self.link.listeners and self._attached is None:
            self._attached = await self._endpoint.attach(self.link.listeners)

    async def release(self) -> None:
        """Gives everything back; the supervisor has ended."""
        name, self._attached = self._attached, None
        try:
            if name is not None:
                await self._endpoint.detach(name)
        finally:
            self.link.close()

    async def end(self) -> None:
        """Ends the supervisor with all it supervises, and gives everything back, also when the caller is cancelled."""
        await descriptor_waits.uninterrupted(self._end())

    async def _end(self) -> None:
        try:
            await self.link.end()
        finally:
            await self.release()


class SeriesPlaces:
    """The places of one sandbox for commands in series: as many as ever ran at the same time."""

    def __init__(self, spare: SpareSupervisor, endpoint: Endpoint) -> None:
        self._spare = spare
        self._endpoint = endpoint
        self._idle: list[SupervisedPlace] = []
        self._busy = 0
        self._given_back = asyncio.Event()
        self._closed = False

    @property
    def idle(self) -> int:
        """How many wait for a command."""
        return len(self._idle)

    async def take(self, *, last: bool, is_patient: bool) -> SupervisedPlace:
        """One that is idle, else a new one. A second one is made ready while the first is used, a third is not.

        :param is_patient: waits for a busy one.
        """
        while is_patient and self._busy and not self._idle:
            self._given_back.clear()
            await self._given_back.wait()
        self._busy += 1
        try:
            while self._idle:
                place = self._idle.pop()
                if place.link.is_alive:
                    return place
                await place.end()
            return SupervisedPlace(await self._spare.take(last=last or self._busy > 1), self._endpoint)
        except BaseException:
            self._is_free()
            raise

    async def give_back(self, place: SupervisedPlace, *, stays: bool) -> None:
        """:param stays: it can serve another command; else it has ended."""
        self._is_free()
        if stays and not self._closed:
            self._idle.append(place)
        elif stays:
            await place.end()

    def _is_free(self) -> None:
        """Whoever waits looks again, also when a place could not be had: none may come back then."""
        self._busy -= 1
        self._given_back.set()

    async def drop(self) -> None:
        """Ends those that are idle."""
        idle, self._idle = self._idle, []
        await asyncio.gather(*(place.end() for place in idle))

    async def close(self) -> None:
        """Ends those that are idle, and the others when they are given back."""
        self._closed = True
        await self.drop()
