"""Which permissions of a GitHub App a session's token gets: what docs/policy.md needs for its repository.

GitHub gives a token the same permissions on all its repositories, so those listed as submodules get them too; it is the
broker that lets them be read only.
"""

from __future__ import annotations

from collections.abc import Mapping

REQUIRED = {"contents": "write", "pull_requests": "write"}
# What the sandbox's gh may use as well, as far as the App has it.
USEFUL = {"metadata": "read", "issues": "write", "actions": "read", "checks": "read", "statuses": "read"}
WORKFLOWS = {"workflows": "write"}

_RANK = {"read": 1, "write": 2, "admin": 3}


def wanted(granted: Mapping[str, str], *, workflows: bool) -> dict[str, str]:
    """What to ask for, of what the installation was granted."""
    asked = {**REQUIRED, **USEFUL, **(WORKFLOWS if workflows else {})}
    return {
        name: level if _rank(granted, name) >= _RANK[level] else "read"
        for name, level in asked.items()
        if _rank(granted, name) > 0 and (name not in WORKFLOWS or _rank(granted, name) >= _RANK[level])
    }


def missing(granted: Mapping[str, str]) -> list[str]:
    """The required permissions that the installation lacks, in GitHub's own words: `Pull requests: write`."""
    lacking = [name for name, level in REQUIRED.items() if _rank(granted, name) < _RANK[level]]
    return [f"{name.replace('_', ' ').capitalize()}: {REQUIRED[name]}" for name in lacking]


def _rank(granted: Mapping[str, str], name: str) -> int:
    return _RANK.get(granted.get(name, ""), 0)
