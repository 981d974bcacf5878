"""What one checkpoint hands to the next: frozen values, and the one place where they become JSON and are read again.

A run may have been checkpointed by a worker of before an upgrade: what that did not know has its default, and what
nobody needs any more is ignored.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

from gitward.github.preflight import Facts
from gitward.github.tokens import Identity
from gitward.runs.checkpoints import Checkpoint, Stored
from gitward.sessions.model import PullRequest


@dataclass(frozen=True, kw_only=True)
class WorkResult:
    """What the attempt came to."""

    message: str
    changed: bool = False
    head_sha: str | None = None
    exit_code: int | None = None
    wants_pull_request: bool = False


def _facts(stored: Stored) -> Facts:
    identity = Identity(**_known(Identity, stored["identity"]))
    notices = tuple(stored.get("notices", ()))
    return Facts(**_known(Facts, {**stored, "identity": identity, "notices": notices}))


def _work_result(stored: Stored) -> WorkResult:
    return WorkResult(**_known(WorkResult, stored))


def _pull_request(stored: Stored) -> PullRequest:
    return PullRequest(**_known(PullRequest, stored))


def _known(kind: type, stored: Stored) -> Stored:
    """Of what is stored the fields that such a value has."""
    return {each.name: stored[each.name] for each in fields(kind) if each.name in stored}


PREFLIGHT: Checkpoint[Facts] = Checkpoint(name="preflight", encode=asdict, decode=_facts)
WORK: Checkpoint[WorkResult] = Checkpoint(name="work", encode=asdict, decode=_work_result)
PULL_REQUEST: Checkpoint[PullRequest] = Checkpoint(name="pull_request", encode=asdict, decode=_pull_request)
SETTLE: Checkpoint[None] = Checkpoint(name="settle", encode=lambda _: {}, decode=lambda _: None)
