"""A request for a session, and the session that it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from gitward.sessions.harmless import harmless
from gitward.sessions.model import HOST, Instruction, Owner, RunState, Session, new_id
from gitward.sessions.webhooks import Callback
from gitward.telemetry.redaction import Redactor

SHORT_ID = 8  # characters of the session's id that name its branch


@dataclass(frozen=True, kw_only=True)
class NewSession:
    """A valid request for a session."""

    repo: str
    target_branch: str | None = None
    branch: str | None = None  # None: gitward/<short id>
    title: str | None = None
    labels: tuple[str, ...] = ()
    submodules: tuple[str, ...] = ()
    allow_workflows: bool = False
    environment: str = HOST
    instruction: Instruction = Instruction()
    schedule_id: str | None = None
    scheduled_for: datetime | None = None
    claims: Mapping[str, Any] = field(default_factory=dict)  # of the owner's token: those that the rules looked at
    from_page: bool = False  # somebody asks for it in a browser
    callback: Callback | None = None  # where the owner wants to be told


def session_from(new: NewSession, owner: Owner, at: datetime) -> Session:
    """The session as it begins, with an id and a branch."""
    session_id = new_id("ses")
    branch = new.branch or f"gitward/{session_id.removeprefix('ses_')[:SHORT_ID]}"
    return Session(
        id=session_id,
        owner=owner,
        repo=new.repo,
        target_branch=new.target_branch,
        branch=branch,
        title=new.title or _title(new.instruction),
        labels=new.labels,
        submodules=new.submodules,
        allow_workflows=new.allow_workflows,
        environment=new.environment,
        setup=new.instruction.setup,
        state=RunState.QUEUED,
        archived=False,
        pull_request=None,
        pushed_sha=None,
        schedule_id=new.schedule_id,
        scheduled_for=new.scheduled_for,
        created_at=at,
        updated_at=at,
        claims=new.claims,
        from_page=new.from_page,
    )


def in_session(session: Session, instruction: Instruction) -> Instruction:
    """With what it does not name itself, and the session has. A run of the host's stays as runs were stored before."""
    environment = instruction.environment or session.environment
    setup = session.setup if instruction.setup is None else instruction.setup
    return replace(instruction, environment=None if environment == HOST else environment, setup=setup)


def _title(instruction: Instruction) -> str:
    """Fit for a list, a commit and a pull request that others read: one line, and no token that was put into it."""
    told = instruction.command or instruction.prompt
    if told is None:
        return "Check out the repository"
    first = (told.strip().splitlines() or [""])[0]
    shown = "".join(c if c.isprintable() else " " for c in Redactor().text(first))
    shown = shown if len(shown) <= 72 else shown[:71] + "…"
    return f"Run {shown}" if instruction.command is not None else harmless(shown)
