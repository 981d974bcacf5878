"""GITWARD_INJECT as values: which header of which host carries which secret. It only names the secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from gitward.broker.policy.egress.names import host_name, is_below
from gitward.broker.policy.egress.rules import GITHUB
from gitward.broker.policy.inject.paths import read_pattern
from gitward.broker.wire.config import InjectConfig

_ENTRY = re.compile(
    r"(?P<host>[^=:/\s]+)(?::(?P<port>[0-9]{1,5}))?(?P<paths>(?:\s+/[^\s=]*)*)\s*=\s*(?P<header>[A-Za-z0-9-]+)\s*:\s*"
    r"(?:(?P<scheme>[A-Za-z0-9-]+)\s+)?(?P<source>\S+)"
)
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_OURS = ("GITHUB_", "GH_", "GITWARD_")  # GitHub's token goes to GitHub alone
_FILE = "file:"
# Headers that frame the request, or name the connection.
_TAKEN = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
FORM = "must be like `api.example.com = x-api-key: MODEL_KEY` or `api.example.com = authorization: Bearer file:/path`"


@dataclass(frozen=True, kw_only=True)
class Injection:
    """One entry. `source` is the name of a variable, or `file:` and a path; never a secret."""

    target: InjectConfig
    source: str

    @property
    def variable(self) -> str | None:
        return None if self.source.startswith(_FILE) else self.source


def parse_injections(text: str, *, own: Iterable[str] = ()) -> tuple[Injection, ...]:
    """The entries of the setting. Raises ValueError with one sentence for each wrong one, which quotes nothing: it may
    hold a secret that was pasted there by mistake.

    :param own: GitHub's hosts, where they are others than the usual ones.
    """
    never = (*GITHUB, *own)
    found: list[Injection] = []
    problems: list[str] = []
    for number, entry in enumerate((part.strip() for part in text.split(";") if part.strip()), start=1):
        try:
            injection = _injection(entry, never)
        except ValueError as error:
            problems.append(f"entry {number} {error}")
            continue
        if any(_place(injection) == _place(other) for other in found):
            problems.append(f"entry {number} repeats the host and the header of an earlier entry")
        found.append(injection)
    if problems:
        raise ValueError("\n".join(problems))
    return tuple(found)


def _injection(entry: str, never: Iterable[str]) -> Injection:
    match = _ENTRY.fullmatch(entry)
    if match is None:
        raise ValueError(FORM)
    port = int(match["port"] or 443)
    if not 0 < port < 65536:
        raise ValueError("must have a port between 1 and 65535, or none")
    scheme = f"{match['scheme']} " if match["scheme"] else ""
    target = InjectConfig(
        host=_host(match["host"], never),
        port=port,
        header=_header(match["header"]),
        prefix=scheme,
        paths=tuple(map(read_pattern, match["paths"].split())),
    )
    return Injection(target=target, source=_source(match["source"]))


def _host(text: str, never: Iterable[str]) -> str:
    try:
        host = host_name(text)
    except ValueError:
        raise ValueError("must name one host in full, such as api.example.com") from None
    if any(is_below(host, github) for github in never):
        raise ValueError("must not name a host of GitHub: its token comes from GITHUB_TOKEN")
    return host


def _header(text: str) -> str:
    if text.lower() in _TAKEN:
        raise ValueError("names a header that cannot carry a secret")
    return text.lower()


def _source(text: str) -> str:
    if text.startswith(_FILE):
        if not text.startswith(f"{_FILE}/"):
            raise ValueError("must give the file by its absolute path, such as file:/run/secrets/model")
        return text
    if not _VARIABLE.fullmatch(text):
        raise ValueError("must name the secret, not hold it: by a variable such as MODEL_KEY, or by file:/path")
    if text.startswith(_OURS):
        raise ValueError("must name another variable: those of GitHub and Gitward are sent to no other host")
    return text


def _place(injection: Injection) -> tuple[str, int, str]:
    return injection.target.host, injection.target.port, injection.target.header
