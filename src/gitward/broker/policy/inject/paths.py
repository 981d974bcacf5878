"""The paths of a host that a command may request, if the operator lists some.

A path that two readers could read differently is refused: a server behind the host may decode twice, cut at a
semicolon, or fold characters that are not ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gitward.broker.wire.target import encode_path, parse_path
from gitward.errors import PolicyDenied

RULE = "inject.path"
_BELOW = "*"  # as a pattern's last segment: one segment or more
_PLAIN = re.compile(r"(?!\.+$)[A-Za-z0-9._~!$&'()*+,=:@-]+")


def read_pattern(text: str) -> str:
    """One entry of a list, such as `/v1/messages` or `/v1/models/*`. Raises ValueError."""
    try:
        segments, _ = parse_path(text)
    except PolicyDenied as error:
        raise ValueError("must list paths such as /v1/messages or /v1/models/*, in plain letters") from error
    if "?" in text or not all(map(_PLAIN.fullmatch, segments)) or any(_BELOW in segment for segment in segments[:-1]):
        raise ValueError("must list paths such as /v1/messages or /v1/models/*, in plain letters")
    if _BELOW in "".join(segments[-1:]) and segments[-1] != _BELOW:
        raise ValueError("must have * in a path only as its whole last part")
    return encode_path(segments)


def admitted(target: str, patterns: Sequence[str], host: str) -> str:
    """The request target as it goes on: the path in its one spelling, the query untouched. Raises PolicyDenied."""
    path, mark, query = target.partition("?")
    segments, _ = parse_path(path)
    if not all(map(_PLAIN.fullmatch, segments)) or not any(_matches(pattern, segments) for pattern in patterns):
        raise PolicyDenied(RULE, f"on {host} only these paths are open: {', '.join(patterns)}"[:400])
    return encode_path(segments) + mark + query


def _matches(pattern: str, segments: tuple[str, ...]) -> bool:
    wanted, _ = parse_path(pattern)
    if wanted[-1:] == (_BELOW,):
        return len(segments) >= len(wanted) and segments[: len(wanted) - 1] == wanted[:-1]
    return segments == wanted
