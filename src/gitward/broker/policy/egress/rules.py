"""GITWARD_EGRESS as values: the open hosts, each with its port, by TLS or plain HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gitward.broker.policy.egress.names import host_name, is_below
from gitward.broker.policy.egress.presets import PRESETS
from gitward.errors import PolicyDenied

# Their content is reached through the broker's own policy: here anybody's token would get around it.
GITHUB = ("github.com", "githubusercontent.com", "ghe.com", "ghcr.io")
_ENTRY = re.compile(r"(?P<plain>http://)?(?P<host>[^:/@\s]+)(?::(?P<port>[0-9]{1,5}))?")
_SHOWN = 8  # rules in the sentence of a refusal


class Way(StrEnum):
    """How a host is spoken to."""

    TLS = "tls"  # a CONNECT tunnel that carries TLS
    PLAIN = "http"  # requests that the proxy passes on; they only read


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One open host. In `host`, `*.` at the beginning stands for one or more labels, another `*` for a part of one."""

    host: str
    port: int
    way: Way = Way.TLS

    def matches(self, host: str) -> bool:
        return re.fullmatch(_pattern(self.host), host) is not None

    def __str__(self) -> str:
        usual = 443 if self.way is Way.TLS else 80
        scheme = "http://" if self.way is Way.PLAIN else ""
        return f"{scheme}{self.host}" + ("" if self.port == usual else f":{self.port}")


def parse_rules(text: str, *, own: Iterable[str] = ()) -> tuple[Rule, ...]:
    """The rules of the setting, presets spelled out. Raises ValueError with one sentence for each wrong entry.

    :param own: GitHub's hosts, where they are others than the usual ones.
    """
    never = (*GITHUB, *own)
    rules: list[Rule] = []
    problems: list[str] = []
    for number, entry in enumerate(_entries(text), start=1):
        try:
            rules += [_rule(each, never) for each in PRESETS.get(entry, (entry,))]
        except ValueError as error:
            problems.append(f"entry {number} {error}")
    if problems:
        raise ValueError("\n".join(problems))
    return tuple(dict.fromkeys(rules))


class Policy:
    """Decides on a host and a port."""

    def __init__(self, rules: Sequence[Rule], *, own: Iterable[str] = (), injected: Iterable[str] = ()) -> None:
        """`own` are GitHub's hosts, as they are seen inside and where they really are; to the hosts `injected` the
        broker adds a secret. Neither is tunnelled."""
        self._rules = tuple(rules)
        self._own = (*GITHUB, *own)
        self._injected = frozenset(injected)

    def admit(self, host: str, port: int, way: Way) -> str:
        """The host in its one spelling. Raises PolicyDenied."""
        try:
            name = host_name(host)
        except ValueError as error:
            raise PolicyDenied("egress.name", f"{error}; {self._open()}") from None
        if any(is_below(name, own) for own in self._own):
            raise PolicyDenied("egress.github", f"the proxy does not serve {name}: use git, gh or https directly")
        if name in self._injected:
            raise PolicyDenied("egress.injected", f"the proxy does not serve {name}: use https directly")
        matching = [rule for rule in self._rules if rule.matches(name)]
        if any((rule.port, rule.way) == (port, way) for rule in matching):
            return name
        if matching:
            raise PolicyDenied("egress.port", f"on {name}, only this is open: {_listed(matching)}")
        raise PolicyDenied("egress.host", f"{name} is not open to this session; {self._open()}")

    def _open(self) -> str:
        return f"these are open: {_listed(self._rules)} (GITWARD_EGRESS)"


def _entries(text: str) -> Iterator[str]:
    yield from (part.strip() for part in text.split(",") if part.strip())


def _rule(entry: str, never: Iterable[str]) -> Rule:
    found = _ENTRY.fullmatch(entry)
    if found is None:
        raise ValueError("must be a host such as pypi.org, *.example.org:8443, http://deb.debian.org, or packages")
    way = Way.PLAIN if found["plain"] else Way.TLS
    port = int(found["port"] or (443 if way is Way.TLS else 80))
    if not 0 < port < 65536:
        raise ValueError("must have a port between 1 and 65535, or none")
    host = found["host"].lower()
    if host != "*":
        _check_pattern(host)
    if any(is_below(host, github) for github in never):
        raise ValueError("must not be a host of GitHub: sessions reach GitHub under the broker's own policy")
    return Rule(host=host, port=port, way=way)


def _check_pattern(host: str) -> None:
    try:
        host_name(host.replace("*", "x"))
    except ValueError as error:
        raise ValueError(f"must name a host: {error}") from None


def _pattern(host: str) -> str:
    if host == "*":
        return r".+"
    prefix, rest = (r"(?:[a-z0-9-]+\.)+", host[2:]) if host.startswith("*.") else ("", host)
    return prefix + r"[a-z0-9-]*".join(re.escape(part) for part in rest.split("*"))


def _listed(rules: Sequence[Rule]) -> str:
    names = [str(rule) for rule in rules[:_SHOWN]]
    return ", ".join(names) + (f" and {len(rules) - _SHOWN} more" if len(rules) > _SHOWN else "")
