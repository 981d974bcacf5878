"""The child process that holds the token while a run is open, and forwards what the run's grant allows.

`client` is the worker's side, `server` the process; `policy` decides, `wire` is what both read and write. The names are
loaded when they are asked for, so that the process does not carry the worker's side in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gitward.broker.client import (
        Broker,
        BrokerConfig,
        BrokerEvent,
        EgressConfig,
        InjectConfig,
        OpenGrant,
        ProxyConfig,
    )

__all__ = ["Broker", "BrokerConfig", "BrokerEvent", "EgressConfig", "InjectConfig", "OpenGrant", "ProxyConfig"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from gitward.broker import client  # noqa: PLC0415 - loaded on first use, see above

    return getattr(client, name)
