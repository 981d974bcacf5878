"""How many files and connections this process may have open at once."""

from __future__ import annotations

import resource

_ENOUGH = 65_536


def raise_limit() -> None:
    """To what the system allows, up to 65,536: a thousand watchers alone are more than the usual 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
