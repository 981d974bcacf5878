"""Reduces a request line and its Host header to one spelling, or refuses them.

Everything that two HTTP implementations could read in two ways is refused here, so that the policy and GitHub cannot
disagree about the request.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from gitward.errors import PolicyDenied

_SEGMENT = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*")
_QUERY = re.compile(r"(?:[A-Za-z0-9._~!$'()*+,;:@/?&=-]|%[0-9A-Fa-f]{2})*")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f/\\%]")  # after decoding: what would be another path to another reader
_SEGMENT_SAFE = "!$&'()*+,;=:@"

Query = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is asked for, decoded once."""

    host: str
    segments: tuple[str, ...]  # "/a/b" → ("a", "b"); "/" → (); "/a/" → ("a", "")
    query: Query = ()

    @property
    def path(self) -> str:
        """Encoded again, in the one canonical way."""
        return encode_path(self.segments)


def parse_host(values: Sequence[str], *, port: int, hosts: Sequence[str]) -> str:
    """The host that the Host headers name, if it is one of `hosts` at `port`. Raises PolicyDenied."""
    allowed = " or ".join(hosts)
    if len(values) != 1:
        raise PolicyDenied("http.host", f"a request must have exactly one Host header: {allowed}")
    host, colon, asked = values[0].partition(":")
    host = host.lower() if host.isascii() else host  # RFC 9110 4.2.3: a host has no case
    if colon and asked != str(port):
        raise PolicyDenied("http.host", f"this port serves {allowed} only")
    if host not in hosts or (not colon and port != 443):
        raise PolicyDenied("http.host", f"only {allowed} can be reached, without a trailing dot")
    return host


def parse_path(raw: str) -> tuple[tuple[str, ...], Query]:
    """Segments and query of an origin-form request target. Raises PolicyDenied."""
    if not raw.startswith("/"):
        raise PolicyDenied("http.target", "the request target must be a path; no proxy requests")
    path, _, query = raw.partition("?")
    parts = path[1:].split("/")
    if parts == [""]:
        return (), parse_query(query)
    if "" in parts[:-1]:
        raise PolicyDenied("http.path", "a path must not have empty segments (//)")
    return tuple(_segment(part) for part in parts), parse_query(query)


def parse_query(raw: str) -> Query:
    """Names and values in order, decoded. Raises PolicyDenied."""
    if not raw:
        return ()
    if not _QUERY.fullmatch(raw):
        raise PolicyDenied("http.query", "the query has characters that must be percent-encoded")
    pairs = (part.partition("=") for part in raw.split("&"))
    return tuple((_decode(name.replace("+", " ")), _decode(value.replace("+", " "))) for name, _, value in pairs)


def encode_path(segments: Sequence[str]) -> str:
    return "/" + "/".join(quote(segment, safe=_SEGMENT_SAFE) for segment in segments)


def encode_query(query: Query) -> str:
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query)


def _segment(raw: str) -> str:
    if not _SEGMENT.fullmatch(raw):
        raise PolicyDenied("http.path", "the path has characters that must be percent-encoded")
    segment = _decode(raw)
    if segment in (".", ".."):
        raise PolicyDenied("http.path", "a path must not have . or .. segments")
    if _FORBIDDEN.search(segment):
        raise PolicyDenied("http.path", "a path must not have encoded slashes, percent signs or controls")
    return segment


def _decode(raw: str) -> str:
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError as error:
        raise PolicyDenied("http.path", "a path or query must be UTF-8") from error
