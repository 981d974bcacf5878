"""Counts the hosts that a run reached, and the bytes sent and received."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from gitward.broker.server.reporter import Reporter

log = logging.getLogger(__name__)

_MAX_HOSTS = 100  # of one run, told one by one; the rest is counted together
_OTHERS = ("other hosts", 0)


@dataclass
class Traffic:
    """To one host."""

    connections: int = 0
    sent: int = 0  # bytes, by the sandbox
    received: int = 0


class TrafficLedger:
    """A host that is reached for the first time is an event; at the end of the run each is a line of the log."""

    def __init__(self, run_id: str, reporter: Reporter) -> None:
        self._run_id = run_id
        self._reporter = reporter
        self._traffic: dict[tuple[str, int], Traffic] = {}

    async def open(self, host: str, port: int) -> Traffic:
        """One more connection to the host; add its bytes to what is returned."""
        key = (host, port)
        if key not in self._traffic and len(self._traffic) >= _MAX_HOSTS:
            key = _OTHERS
        first = key not in self._traffic
        traffic = self._traffic.setdefault(key, Traffic())
        traffic.connections += 1
        if first and key != _OTHERS:
            await self._reporter.opened(host=host, port=port)
        return traffic

    def close(self) -> None:
        for (host, port), traffic in self._traffic.items():
            log.info(
                "Run %s: egress to %s%s: %d connections, %d bytes sent, %d received",
                *(self._run_id, host, f":{port}" if port else ""),
                *(traffic.connections, traffic.sent, traffic.received),
            )
        self._traffic.clear()
