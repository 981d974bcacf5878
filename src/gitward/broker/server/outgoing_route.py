"""How the broker's requests leave: directly, or by CONNECT through the operator's proxy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import ClientHttpProxyError, ClientProxyConnectionError
from yarl import URL

from gitward.broker.wire.config import BrokerConfig
from gitward.broker.wire.upstream import proxy_authorization
from gitward.web_proxy import Route, WebProxy


def route_of(config: BrokerConfig, login: str | None) -> Route:
    """:param login: of the proxy; it comes beside the configuration, which may be shown."""
    if config.proxy is None:
        return Route()
    proxy = WebProxy.of(config.proxy.host, config.proxy.port, login)
    return Route(proxy=proxy, exceptions=config.proxy.exceptions)


def connect_headers(proxy: WebProxy) -> Mapping[str, str]:
    """What the proxy is told beside the host."""
    return {} if proxy.login is None else {"Proxy-Authorization": proxy_authorization(proxy.login)}


@dataclass(frozen=True, kw_only=True)
class Hop:
    """The proxy of one request, as aiohttp takes it."""

    proxy: URL | None = None
    headers: Mapping[str, str] | None = None

    @classmethod
    def to(cls, url: str, route: Route) -> Hop:
        proxy = route.proxy_for_url(url)
        if proxy is None:
            return cls()
        return cls(proxy=URL.build(scheme="http", host=proxy.host, port=proxy.port), headers=connect_headers(proxy))

    def failure(self, error: BaseException) -> str | None:
        """What the proxy did, for a person; None when it is not the proxy's fault."""
        if self.proxy is None:
            return None
        if isinstance(error, ClientHttpProxyError):
            return f"the proxy {self.proxy.authority} refused it ({error.status})"
        if isinstance(error, ClientProxyConnectionError):
            return f"the proxy {self.proxy.authority} does not answer"
        return None
