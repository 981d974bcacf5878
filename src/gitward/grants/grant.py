"""What one run may do with GitHub, and the worthless string that stands for the token inside the sandbox."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

MAX_LFS_OIDS = 100_000  # of one push
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_LFS_OID = re.compile(r"[0-9a-f]{64}")


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
    own_writes: bool = True  # GITWARD_WRITES=own: texts of its own pull request and issues; False: of all of them
    issues: tuple[int, ...] = ()  # numbers of the issues that the session opened, as GitHub answered
    pull_request: int | None = None  # the number of the session's pull request, as far as it is recorded
    ready: bool = False  # whether the POST wants a pull request that is ready for review
    is_agent: bool = False  # whether an agent works in this run: hosts of models are open
    fetch_only: bool = False  # nothing but fetching `repository` and its LFS objects, with the run credential
    expires_at: float  # on `grants.clock`; after it everything is refused


@dataclass(frozen=True, kw_only=True)
class ExactPush:
    """The one push that publishes a run's work. A grant that is narrowed to it allows nothing else."""

    old: str  # where the branch stands, in hex; all zeros: the push creates it
    new: str
    ref: str  # the grant's `push_ref`
    lfs_oids: tuple[str, ...] = ()  # SHA-256 of each LFS object that may be uploaded

    def __post_init__(self) -> None:
        if not (_COMMIT.fullmatch(self.old) and _COMMIT.fullmatch(self.new)) or set(self.new) == {"0"}:
            raise ValueError("an exact push leads from one commit to another, named in full")
        if len(self.lfs_oids) > MAX_LFS_OIDS or not all(map(_LFS_OID.fullmatch, self.lfs_oids)):
            raise ValueError(f"an exact push names at most {MAX_LFS_OIDS} LFS objects, each by its SHA-256")


def new_run_credential() -> str:
    """A random string that is good on one run's listener only.

    It has the shape of a classic token, because gh and other tools look at the prefix; GitHub itself answers
    it with 401.
    """
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    return "ghp_" + "".join(secrets.choice(alphabet) for _ in range(36))
