"""The job's own way out: directly, or by CONNECT through the operator's proxy, host by host."""

from __future__ import annotations

import ssl

import httpx2

from gitward.github.credentials import proxy_login
from gitward.web_proxy import Route, WebProxy


class ProxyFailed(httpx2.ConnectError):
    """The operator's proxy did not lead to the host. The text names the proxy by host and port alone."""


class RoutedTransport(httpx2.AsyncBaseTransport):
    """Sends each request by the way of its host."""

    def __init__(self, route: Route, tls: ssl.SSLContext) -> None:
        self._route = route
        self._direct = httpx2.AsyncHTTPTransport(verify=tls)
        self._proxied = (
            None if route.proxy is None else httpx2.AsyncHTTPTransport(verify=tls, proxy=_httpx(route.proxy))
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Raises ProxyFailed beside httpx2's own errors."""
        proxy = self._route.proxy_for_url(str(request.url))
        if proxy is None or self._proxied is None:
            return await self._direct.handle_async_request(request)
        try:
            return await self._proxied.handle_async_request(request)
        except httpx2.ProxyError as error:  # its text is the proxy's own
            status = str(error).partition(" ")[0]
            told = status if status.isdecimal() else "an invalid answer"
            raise ProxyFailed(f"the proxy {proxy} refused it ({told})", request=request) from None
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise ProxyFailed(f"by the proxy {proxy}: {type(error).__name__}", request=request) from None

    async def aclose(self) -> None:
        await self._direct.aclose()
        if self._proxied is not None:
            await self._proxied.aclose()


def _httpx(proxy: WebProxy) -> httpx2.Proxy:
    login = None if proxy.login is None else proxy_login(proxy.login)
    return httpx2.Proxy(f"http://{proxy}", auth=login)
