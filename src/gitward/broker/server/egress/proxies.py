"""Builds the proxies of a run from its configuration."""

from __future__ import annotations

import socket
from collections.abc import Callable

from gitward.broker.policy.egress.addresses import Reach
from gitward.broker.policy.egress.rules import Policy, parse_rules
from gitward.broker.policy.verdict import Verdict
from gitward.broker.server.egress.lookup import Lookup
from gitward.broker.server.egress.proxy import Egress, Proxy
from gitward.broker.server.egress.resolver import FixedResolver, SystemResolver
from gitward.broker.server.egress.traffic import TrafficLedger
from gitward.broker.server.reporter import Reporter
from gitward.broker.wire.config import BrokerConfig
from gitward.grants.grant import Grant
from gitward.web_proxy import Route


class EgressProxies:
    """The way out of one run's sandboxes."""

    def __init__(self, egress: Egress, names: SystemResolver, port: int) -> None:
        self.port = port
        self._egress = egress
        self._names = names

    @classmethod
    def of(cls, config: BrokerConfig, route: Route, grant: Grant, reporter: Reporter) -> EgressProxies:
        """By the rules of the configuration, which has some."""
        assert config.proxy_port is not None
        policy = Policy(
            parse_rules(config.egress.rules),
            own=[address.host for address in (*config.addresses, *config.upstream_addresses)],
            injected=[target.host for target in config.inject],
        )
        reach = Reach(config.egress.private, trusted=config.egress.trusted)
        names = SystemResolver()
        egress = Egress(
            policy=policy,
            lookup=Lookup(FixedResolver(config.egress.names, names), reach, own=config.upstream_addresses),
            reporter=reporter,
            ledger=TrafficLedger(grant.run_id, reporter),
            expires_at=grant.expires_at,
            route=route,
        )
        return cls(egress, names, config.proxy_port)

    def proxy(self, sock: socket.socket, *, held: Callable[[], bool], closed: Callable[[], Verdict | None]) -> Proxy:
        """`held` tells whether the worker's lease is; `closed` has the refusal of a grant that leads nowhere else."""
        return Proxy(sock, self._egress, held=held, closed=closed)

    def close(self) -> None:
        """Call it when the proxies are stopped."""
        self._names.stop()
        self._egress.ledger.close()
