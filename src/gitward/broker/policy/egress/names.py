"""Host names in one spelling, so that a rule and a look-up cannot mean different hosts."""

from __future__ import annotations

import re

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")  # as the last label it makes an IPv4 address: 127.1, 0x7f.1, 2130706433
_MAX_NAME = 253


def host_name(text: str) -> str:
    """The name in lower case. Raises ValueError for anything else: addresses in any spelling, a trailing dot, names
    in other scripts, names without a dot (they mean this machine, or depend on its search list)."""
    name = text.lower() if text.isascii() else ""
    labels = name.split(".")
    if len(labels) < 2 or len(name) > _MAX_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("a host must be a full name in ASCII, such as pypi.org, without a trailing dot")
    if _NUMBER.fullmatch(labels[-1]):
        raise ValueError("a host must be a name: addresses are not accepted")
    return name


def is_below(name: str, parent: str) -> bool:
    """Whether `name` is `parent` or one of its subdomains."""
    return name == parent or name.endswith("." + parent)
