"""The messages between the worker and its broker process: plain values that fit in JSON."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

from gitward.grants.endpoint import Address

PROXY_PORT = 3128  # what proxies usually have
_DEFAULT_PORT = {"https": 443, "http": 80}
_ENTERPRISE_API = "/api/v3"  # Enterprise Server: REST here, GraphQL at /api/graphql, git on the same host


@dataclass(frozen=True, kw_only=True)
class EgressConfig:
    """Which other hosts are open. Without rules there is no way to any."""

    rules: str = ""  # as GITWARD_EGRESS has them
    private: tuple[str, ...] = ()  # networks whose addresses may be connected to although they are not public
    # For tests and demonstrations, whose servers are on loopback; no setting leads here.
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # addresses of names, in place of a look-up
    trusted: tuple[str, ...] = ()  # addresses that may be connected to whatever they are


@dataclass(frozen=True, kw_only=True)
class InjectConfig:
    """A header that the broker adds to each request to a host. Its secret comes with each grant, not here."""

    host: str
    port: int
    header: str  # in lower case
    prefix: str = ""  # of its value: "Bearer "
    paths: tuple[str, ...] = ()  # that may be asked for there; without any: all of them
    absent: tuple[str, ...] = ()  # paths that are answered with 404 here: agents ask for them at each start
    agents_only: bool = False  # a model's: open to the runs of agents, closed to commands
    upstream: str = ""  # where the host really is; empty: at its name. For tests: no setting leads here

    def __post_init__(self) -> None:
        object.__setattr__(self, "upstream", self.upstream or f"https://{self.host}:{self.port}")


@dataclass(frozen=True, kw_only=True)
class ProxyConfig:
    """The operator's proxy, by which other hosts are reached. Its login goes another way: this may be shown."""

    host: str
    port: int
    exceptions: str = ""  # as NO_PROXY has them


@dataclass(frozen=True, kw_only=True)
class BrokerConfig:
    """Where the sandbox believes GitHub to be, and where it really is."""

    server_url: str  # "https://github.com": what the sandbox sees
    api_url: str  # "https://api.github.com", or "https://ghe.example/api/v3" (Enterprise: one host)
    upstream_url: str = ""  # where git requests really go; empty: server_url
    upstream_api_url: str = ""  # where API requests really go; empty: api_url
    login_mode: bool = False  # True: the sandbox presents the token itself instead of the run credential
    ca_file: str | None = None  # PEM bundle that replaces the system's roots for the upstream side
    egress: EgressConfig = EgressConfig()
    inject: tuple[InjectConfig, ...] = ()
    proxy: ProxyConfig | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "upstream_url", (self.upstream_url or self.server_url).rstrip("/"))
        object.__setattr__(self, "upstream_api_url", (self.upstream_api_url or self.api_url).rstrip("/"))
        for name, schemes in (("server_url", ("https",)), ("api_url", ("https",))):
            _check_url(name, getattr(self, name), schemes)
        for name in ("upstream_url", "upstream_api_url"):
            _check_url(name, getattr(self, name), ("https", "http"))

    @property
    def addresses(self) -> tuple[Address, ...]:
        """GitHub's hosts, without repeats."""
        return tuple(dict.fromkeys((address_of(self.server_url), address_of(self.api_url))))

    @property
    def served(self) -> tuple[Address, ...]:
        """All hosts that the sandbox must find at the broker."""
        others = (Address(host=target.host, port=target.port) for target in self.inject)
        return tuple(dict.fromkeys((*self.addresses, *others)))

    @property
    def proxy_port(self) -> int | None:
        """The port, inside, of the proxy to other hosts; None when none is open."""
        if not self.egress.rules:
            return None
        taken = {address.port for address in self.served}
        return next(port for port in itertools.count(PROXY_PORT) if port not in taken)

    @property
    def upstream_addresses(self) -> tuple[Address, ...]:
        """Where the broker itself connects to."""
        return tuple(dict.fromkeys((address_of(self.upstream_url), address_of(self.upstream_api_url))))

    @property
    def upstream_graphql_url(self) -> str:
        return graphql_url(self.upstream_api_url)

    def to_message(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> BrokerConfig:
        egress = EgressConfig(**message["egress"])
        inject = tuple(_inject(target) for target in message["inject"])
        proxy = None if message["proxy"] is None else ProxyConfig(**message["proxy"])
        return cls(**{**message, "egress": egress, "inject": inject, "proxy": proxy})


def _inject(message: Mapping[str, Any]) -> InjectConfig:
    return InjectConfig(**{**message, "paths": tuple(message["paths"]), "absent": tuple(message["absent"])})


@dataclass(frozen=True, kw_only=True)
class BrokerEvent:
    """One thing worth telling the people who watch a run."""

    run_id: str
    type: Literal[
        "policy.denied",
        "branch.pushed",
        "push.refused",
        "token.rejected",
        "egress.opened",
        "issue.opened",
        "model.call",
        "budget.reached",
        "model.given_up",
    ]
    # policy.denied: {rule, message}; branch.pushed: {ref, old, new}; token.rejected: {}; egress.opened: {host, port};
    # issue.opened: {number}, by a command;
    # model.call: a `grants.model_calls.ModelCall`, for the job alone;
    # budget.reached: {message}, when a request to a model was refused for it: for the job alone;
    # model.given_up: {host, failures}, when requests to it are refused after so many failures: for the job alone;
    # push.refused: {ref, new, reason}, when GitHub refused the push: for the job alone
    data: dict[str, str]


def address_of(url: str) -> Address:
    """Host (in lower case) and port of an http(s) URL."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    return Address(host=parts.hostname, port=parts.port or _DEFAULT_PORT[parts.scheme])


def graphql_url(api_url: str) -> str:
    """Where the GraphQL endpoint stands that belongs to a REST base."""
    base = api_url.rstrip("/")
    if base.endswith(_ENTERPRISE_API):
        return base.removesuffix(_ENTERPRISE_API) + "/api/graphql"
    return base + "/graphql"


def _check_url(name: str, url: str, schemes: tuple[str, ...]) -> None:
    parts: SplitResult = urlsplit(url)
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError(f"{name} must be a URL with {' or '.join(schemes)}, not {url!r}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(f"{name} must have a host and a path only, not {url!r}")
