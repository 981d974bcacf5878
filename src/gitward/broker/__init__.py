"""The process that holds a run's token while the run is open, and forwards what its grant allows: one for each run.

`client` is the worker's side, `server` the process; `policy` decides, `wire` has what both read and write. Names are
loaded on first use, so that the process does not load the worker's side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gitward.broker.client import (
        BrokerConfig,
        BrokerError,
        BrokerEvent,
        Brokers,
        EgressConfig,
        InjectConfig,
        OpenGrant,
        ProxyConfig,
    )

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


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from gitward.broker import client  # noqa: PLC0415 - loaded on first use, see above

    return getattr(client, name)
