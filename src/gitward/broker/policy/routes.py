"""Selects the part of GitHub that a request is for, by host and path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from gitward.broker.wire.config import BrokerConfig, address_of, graphql_url
from gitward.broker.wire.target import Target
from gitward.grants.endpoint import Address


class Kind(StrEnum):
    """One policy each."""

    GIT = "git"
    LFS = "lfs"
    REST = "rest"
    GRAPHQL = "graphql"


@dataclass(frozen=True, kw_only=True)
class Route:
    """Everything below `prefix` on `address`; with `exact` nothing but it."""

    kind: Kind
    address: Address
    prefix: tuple[str, ...]
    exact: bool = False

    def rest(self, target: Target) -> tuple[str, ...] | None:
        """The segments behind the prefix, or None when the target is not on this route."""
        if target.host != self.address.host or target.segments[: len(self.prefix)] != self.prefix:
            return None
        rest = target.segments[len(self.prefix) :]
        return None if self.exact and rest else rest


def routes_of(config: BrokerConfig) -> tuple[Route, ...]:
    """The most specific first: on Enterprise Server all are on one host."""
    api = address_of(config.api_url)
    return (
        Route(kind=Kind.GRAPHQL, address=api, prefix=_prefix(graphql_url(config.api_url)), exact=True),
        Route(kind=Kind.REST, address=api, prefix=_prefix(config.api_url)),
        Route(kind=Kind.GIT, address=address_of(config.server_url), prefix=_prefix(config.server_url)),
    )


def find(routes: Sequence[Route], target: Target) -> tuple[Kind, tuple[str, ...]] | None:
    """The kind and the segments behind the route's prefix."""
    for route in routes:
        rest = route.rest(target)
        if rest is not None:
            lfs = route.kind is Kind.GIT and rest[2:4] == ("info", "lfs")
            return Kind.LFS if lfs else route.kind, rest
    return None


def _prefix(url: str) -> tuple[str, ...]:
    return tuple(part for part in urlsplit(url).path.split("/") if part)
