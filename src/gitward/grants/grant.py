"""What one run may do with GitHub, and the worthless string that stands for the token inside the sandbox."""

from __future__ import annotations

import secrets
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Grant:
    """The rights of one run. Holds no token and may be logged."""

    run_id: str  # also the key under which the broker keeps the grant
    repository: str  # "owner/name" as GitHub spells it
    repository_id: int | None = None  # GitHub's numeric id, when preflight learned it
    push_ref: str  # the one full ref that may be written: "refs/heads/<session branch>"
    readable: tuple[str, ...] = ()  # further "owner/name" that may be fetched: the session's submodules
    public_read: bool = False  # whether public repositories may be fetched too, always without the token
    allow_workflows: bool = False  # whether a push may change .github/workflows/
    target_branch: str | None = None  # whose workflows a push may have, as well as those of the session's branch
    target_sha: str | None = None  # where it stood when the run began
    expires_at: float  # on `grants.clock`; after it everything is refused


def new_run_credential() -> str:
    """A random string that is good on one run's listener only.

    It has the shape of a classic token, because gh and other tools look at the prefix; GitHub itself answers
    it with 401.
    """
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    return "ghp_" + "".join(secrets.choice(alphabet) for _ in range(36))
