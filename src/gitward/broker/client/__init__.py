"""The worker's side: starts the brokers' parent, opens grants, keeps the broker of each alive, answers its requests."""

from __future__ import annotations

from gitward.broker.client.brokers import Brokers
from gitward.broker.client.open_grant import OpenGrant
from gitward.broker.client.process import BrokerError
from gitward.broker.wire.config import BrokerConfig, BrokerEvent, EgressConfig, InjectConfig, ProxyConfig

__all__ = [
    "BrokerConfig",
    "BrokerError",
    "BrokerEvent",
    "Brokers",
    "EgressConfig",
    "InjectConfig",
    "OpenGrant",
    "ProxyConfig",
]
