"""GitHub's global node ids: opaque to clients, but made of a kind and numbers.

New form: `PR_kwDO…`, a prefix and the base64 of a msgpack array of 0 and the parts. Old form, which GitHub still
takes: `MDExOlB1bGxSZXF1ZXN0MQ==`, the base64 of "011:PullRequest1".
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

Part = int | str

# The prefix of each type (as GitHub's own ids show them), and the name in ids of the old form where it had one.
PREFIXES = {
    "User": "U",
    "Organization": "O",
    "App": "A",
    "Bot": "BOT",
    "Team": "T",
    "Repository": "R",
    "Ref": "REF",
    "Commit": "C",
    "Tree": "TREE",
    "Blob": "B",
    "Issue": "I",
    "PullRequest": "PR",
    "IssueComment": "IC",
    "PullRequestReview": "PRR",
    "PullRequestCommit": "PURC",
    "ReviewRequest": "RR",
    "Label": "LA",
    "Milestone": "MI",
    "CheckSuite": "CS",
    "CheckRun": "CR",
    "StatusContext": "SC",
    "StatusCheckRollup": "SCR",
    "Workflow": "W",
    "WorkflowRun": "WFR",
    "Release": "RE",
    "BranchProtectionRule": "BPR",
}
_TYPES = {prefix: typename for typename, prefix in PREFIXES.items()}
_OLD = re.compile(r"0\d+:([A-Za-z]+?)(\d+)")


@dataclass(frozen=True, kw_only=True)
class Key:
    """What an id says: the type, and the numbers or names that find the object. The last part is its own."""

    typename: str
    parts: tuple[Part, ...]


def encode(typename: str, *parts: Part) -> str:
    """`parts`: the repository's number first, for what lives in one."""
    packed = bytes([0x91 + len(parts), 0]) + b"".join(map(_pack, parts))
    return f"{PREFIXES[typename]}_{base64.urlsafe_b64encode(packed).decode().rstrip('=')}"


def decode(node_id: str) -> Key | None:
    """None when it is no id at all. An id of the old form has one part only."""
    prefix, separator, encoded = node_id.partition("_")
    try:
        if separator and prefix in _TYPES:
            return Key(typename=_TYPES[prefix], parts=_unpack(_decoded(encoded)))
        match = _OLD.fullmatch(_decoded(node_id).decode("ascii"))
    except (ValueError, IndexError):
        return None
    return Key(typename=match[1], parts=(int(match[2]),)) if match and match[1] in PREFIXES else None


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(text) from error


def _pack(part: Part) -> bytes:
    if isinstance(part, int):
        return b"\xce" + part.to_bytes(4, "big") if part < 1 << 32 else b"\xcf" + part.to_bytes(8, "big")
    data = part.encode()
    return (bytes([0xA0 | len(data)]) if len(data) < 32 else b"\xd9" + bytes([len(data)])) + data


def _unpack(packed: bytes) -> tuple[Part, ...]:
    """Raises ValueError or IndexError for what `encode` does not make."""
    count, place, parts = packed[0] - 0x91, 2, list[Part]()
    if packed[1] != 0 or not 0 < count < 4:
        raise ValueError("not an array of 0 and parts")
    for _ in range(count):
        kind = packed[place]
        if kind in (0xCE, 0xCF):
            width = 4 if kind == 0xCE else 8
            parts.append(int.from_bytes(packed[place + 1 : place + 1 + width], "big"))
            place += 1 + width
        elif kind == 0xD9 or 0xA0 <= kind < 0xC0:
            start = place + (2 if kind == 0xD9 else 1)
            place = start + (packed[place + 1] if kind == 0xD9 else kind & 0x1F)
            parts.append(packed[start:place].decode())
        else:
            raise ValueError("neither a number nor a string")
    if place != len(packed):
        raise ValueError("more than the parts")
    return tuple(parts)
