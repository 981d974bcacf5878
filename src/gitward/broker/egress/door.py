"""From the configuration to the proxies of each run."""

from __future__ import annotations

import socket

from gitward.broker.config import BrokerConfig
from gitward.broker.egress.addresses import Reach
from gitward.broker.egress.lookup import Lookup
from gitward.broker.egress.proxy import Egress, Proxy
from gitward.broker.egress.resolver import FixedResolver, SystemResolver
from gitward.broker.egress.rules import Policy, parse_rules
from gitward.broker.reporter import Reporter
from gitward.grants.grant import Grant


class EgressDoor:
    """The way out of one run's sandboxes."""

    def __init__(self, egress: Egress, port: int) -> None:
        self.port = port
        self._egress = egress

    def proxy(self, sock: socket.socket) -> Proxy:
        return Proxy(sock, self._egress)


class EgressDoors:
    """What all doors share: the rules, and the threads that look names up."""

    def __init__(self, config: BrokerConfig) -> None:
        assert config.proxy_port is not None
        self._port = config.proxy_port
        self._upstreams = config.upstream_addresses
        self._policy = Policy(
            parse_rules(config.egress.rules),
            own=[address.host for address in (*config.addresses, *config.upstream_addresses)],
            injected=[target.host for target in config.inject],
        )
        self._reach = Reach(config.egress.private, trusted=config.egress.trusted)
        self._system = SystemResolver()
        self._resolver = FixedResolver(config.egress.names, self._system)

    def door(self, grant: Grant, reporter: Reporter) -> EgressDoor:
        lookup = Lookup(self._resolver, self._reach, own=self._upstreams)
        egress = Egress(policy=self._policy, lookup=lookup, reporter=reporter, expires_at=grant.expires_at)
        return EgressDoor(egress, self._port)

    def close(self) -> None:
        self._system.stop()
