"""What arrived, and what shall go wrong: the log of requests, planned faults, gates that hold requests, slowness."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

LONGEST_LOG = 10_000  # requests; older ones are dropped


@dataclass(kw_only=True)
class ReceivedRequest:
    """One request as it came in."""

    method: str
    host: str  # the Host header
    path: str  # as sent, still percent-encoded, without the query
    query: str  # as sent
    headers: Mapping[str, str]  # names in lower case; repeated ones joined by ", "
    raw_headers: tuple[tuple[bytes, bytes], ...]  # as sent, in order
    body: bytes = b""  # of REST and GraphQL calls only
    login: str | None = None  # whom the token belongs to
    status: int | None = None  # of the answer; None: not answered (yet), or the connection was cut


@dataclass(kw_only=True)
class Fault:
    """The next `times` matching requests are answered like this."""

    method: str  # "*" matches all
    path: str  # a glob over the path as sent: "*/repos/octo/demo/pulls"
    status: int  # 0: the connection is cut without an answer
    times: int
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    applied: bool = False  # True: the request is carried out first, only its answer is lost

    def matches(self, method: str, path: str) -> bool:
        return self.times > 0 and _matches(self.method, self.path, method, path)


class Outage(StrEnum):
    """How GitHub is away."""

    REFUSED = "refused"  # nobody listens
    RESET = "reset"  # connections are made, and cut when a request comes
    UNAVAILABLE = "unavailable"  # every answer is 503


@dataclass(kw_only=True)
class Gate:
    """Holds matching requests until it is opened: before they are carried out, or only a fault's answer to them."""

    method: str
    path: str
    applied: bool = False  # True: after a request was carried out whose answer a fault takes away
    reached: asyncio.Event = field(default_factory=asyncio.Event)  # set when a request waits
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    def open(self) -> None:
        self.opened.set()


class Traffic:
    """The log, the faults and the gates of one stand-in."""

    def __init__(self) -> None:
        self.requests: list[ReceivedRequest] = []
        self.faults: list[Fault] = []
        self.gates: list[Gate] = []
        self.reflects = False  # whether a request can ask for its own headers; see `reflection`
        self.outage: Outage | None = None  # meets every request, gates notwithstanding
        self.pause: Callable[[], float] | None = None  # seconds that the next request waits
        self._waiting: deque[tuple[Callable[[ReceivedRequest], bool], asyncio.Future[ReceivedRequest]]] = deque()

    def log(self, request: ReceivedRequest) -> None:
        self.requests.append(request)
        del self.requests[:-LONGEST_LOG]

    def answered(self, request: ReceivedRequest) -> None:
        """Tells those who wait for a request that this one has its status."""
        for wanted, future in self._waiting:
            if not future.done() and wanted(request):
                future.set_result(request)

    async def wait_for(self, wanted: Callable[[ReceivedRequest], bool]) -> ReceivedRequest:
        """The first matching request that has been answered, or has ended unanswered from now on.

        Bound it with a timeout.
        """
        for request in self.requests:
            if request.status is not None and wanted(request):
                return request
        answered: asyncio.Future[ReceivedRequest] = asyncio.get_running_loop().create_future()
        entry = (wanted, answered)
        self._waiting.append(entry)
        try:
            return await answered
        finally:
            self._waiting.remove(entry)

    def next_fault(self, method: str, path: str) -> Fault | None:
        """The fault planned for this request; it is used up by that."""
        if self.outage is not None:
            status = 503 if self.outage is Outage.UNAVAILABLE else 0
            return Fault(method="*", path="*", status=status, times=0)
        fault = next((fault for fault in self.faults if fault.matches(method, path)), None)
        if fault is not None:
            fault.times -= 1
        return fault

    async def pass_gates(self, method: str, path: str, *, applied: bool = False) -> None:
        if self.pause is not None and not applied:
            await asyncio.sleep(self.pause())
        for gate in self.gates:
            if gate.applied == applied and not gate.opened.is_set() and _matches(gate.method, gate.path, method, path):
                gate.reached.set()
                await gate.opened.wait()


def _matches(method_glob: str, path_glob: str, method: str, path: str) -> bool:
    return fnmatchcase(method, method_glob) and fnmatchcase(path, path_glob)
