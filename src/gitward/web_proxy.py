"""The operator's web proxy, which leads out of a company's network by CONNECT, and the hosts that do not need it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from urllib.parse import SplitResult, unquote, urlsplit

from gitward.secrets import Secret

_DEFAULT_PORT = {"https": 443, "http": 80}
_PROXY_PORT = 80  # what `http://proxy.example` without a port means
_HOST = re.compile(r"[A-Za-z0-9.-]+|[0-9A-Fa-f:.]+")  # a name or an address
_WRONG = "must be an address such as http://proxy.example:3128"


@dataclass(frozen=True, kw_only=True)
class WebProxy:
    """Where it listens. Its text is host and port, and never the login."""

    host: str
    port: int
    login: Secret | None = None  # "user:password"
    password: Secret | None = field(default=None, repr=False)  # the same, for what masks it where it stands alone

    @classmethod
    def of(cls, host: str, port: int, login: str | None) -> WebProxy:
        """:param login: "user:password", unsealed."""
        if login is None:
            return cls(host=host, port=port)
        return cls(host=host, port=port, login=Secret(login), password=Secret(login.partition(":")[2]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What no log may show."""
        return tuple(secret for secret in (self.login, self.password) if secret is not None)


@dataclass(frozen=True, kw_only=True)
class Route:
    """How hosts are reached: directly, unless there is a proxy and the host is no exception."""

    proxy: WebProxy | None = None
    exceptions: str = ""  # as NO_PROXY has them

    def proxy_for(self, host: str, port: int) -> WebProxy | None:
        """The proxy that leads to a host; None: it is connected to directly."""
        return None if self.proxy is None or is_exception(host, port, self.exceptions) else self.proxy

    def proxy_for_url(self, url: str) -> WebProxy | None:
        parts = urlsplit(url)
        return self.proxy_for(parts.hostname or "", parts.port or _DEFAULT_PORT.get(parts.scheme, 0))


def parse_proxy(url: str) -> WebProxy:
    """The value of HTTPS_PROXY. Raises ValueError with a sentence that quotes nothing of it."""
    scheme, separator, rest = url.partition("://")
    try:
        parts = urlsplit(f"http://{rest if separator else url}")
    except ValueError:  # its text may quote the password
        raise ValueError(_WRONG) from None
    if separator and scheme.lower() != "http":
        raise ValueError("must begin with http://; SOCKS, and TLS to the proxy itself, are not supported")
    host, port = parts.hostname or "", _port(parts)
    if not _HOST.fullmatch(host) or port is None or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(_WRONG)
    login = None if parts.username is None else f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return WebProxy.of(host, port, login)


def is_exception(host: str, port: int, exceptions: str) -> bool:
    """Whether NO_PROXY names the host; this machine needs no proxy anyway.

    Names stand for themselves and all below them, with or without a dot or `*.` before; also addresses, networks
    (10.0.0.0/8), `*`, and any of these but a network with a port.
    """
    host = host.lower().strip("[]").rstrip(".")
    return _is_this_machine(host) or any(
        _matches(entry, host, port) for entry in re.split(r"[,\s]+", exceptions.lower()) if entry
    )


def _matches(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        return _is_within(host, entry)
    name, wanted = _split(entry)
    if wanted not in ("", str(port)):
        return False
    name = name.removeprefix("*").strip(".")
    return bool(name) and (host == name or (host.endswith("." + name) and not _is_address(host)))


def _split(entry: str) -> tuple[str, str]:
    """Name or address, and port or nothing."""
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name, rest.removeprefix(":")
    if entry.count(":") == 1:
        name, _, port = entry.partition(":")
        return name, port
    return entry, ""


def _is_within(host: str, network: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_this_machine(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)


def _port(parts: SplitResult) -> int | None:
    try:
        return _PROXY_PORT if parts.port is None else parts.port or None
    except ValueError:
        return None
