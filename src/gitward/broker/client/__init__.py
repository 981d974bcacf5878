"""The worker's side: starts the broker process, opens grants in it, answers its questions."""

from __future__ import annotations

from gitward.broker.client.broker import Broker, OpenGrant
from gitward.broker.client.child import BrokerError
from gitward.broker.wire.config import BrokerConfig, BrokerEvent, EgressConfig, InjectConfig, ProxyConfig

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
