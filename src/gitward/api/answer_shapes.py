"""Answers as JSON, made from values of the domain."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from gitward.api.usage_shapes import UsageOut, usage_out
from gitward.sessions.model import Event, EventType, PublishMode, Run, RunState, Session, StepName, StepState


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class OwnerOut(_Answer):
    issuer: str
    subject: str


class PullRequestOut(_Answer):
    number: int
    url: str
    state: str
    draft: bool


class StepOut(_Answer):
    name: StepName
    state: StepState
    started_at: datetime
    seconds: float | None


class PublishOut(_Answer):
    mode: PublishMode
    title: str | None
    body: str | None
    labels: list[str]
    reviewers: list[str]


class BudgetOut(_Answer):
    requests: int | None
    tokens: int | None
    usd: float | None
    seconds: int | None


class InstructionOut(_Answer):
    command: str | None
    prompt: str | None
    budget: BudgetOut | None
    env: dict[str, str]
    setup: str | bool | None
    timeout_seconds: int | None
    commit_message: str | None
    publish: PublishOut


class ChosenAgentOut(_Answer):
    """Who does what a run's prompt says."""

    name: str
    model: str | None = Field(description="null: the agent's own choice.")


class RunOut(_Answer):
    """One unit of background work."""

    id: str
    session_id: str
    number: int
    state: RunState
    reason: str | None = Field(description="Why a run failed.")
    message: str | None
    instruction: InstructionOut
    agent: ChosenAgentOut | None
    environment: str = Field(description="Whose tools its setup and its instruction found.")
    changed: bool | None
    head_sha: str | None
    exit_code: int | None
    retry_of: str | None
    publish_of: str | None = Field(description="The run whose kept work this one publishes.")
    attempt: int
    queued_because: str | None = Field(description="Why a queued run waits.")
    queue_place: int | None = Field(
        description="Of a queued run: its place among its owner's waiting runs, or behind earlier runs of its session."
    )
    output_truncated: bool
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    pull_request: PullRequestOut | None
    usage: UsageOut | None = Field(description="What the agent used of models. null: it asked none.")
    steps: list[StepOut]

    _usage = field_validator("usage", mode="before")(usage_out)

    @classmethod
    def of(cls, run: Run) -> RunOut:
        return cls.model_validate(run)


class SessionOut(_Answer):
    """A conversation about one repository."""

    id: str
    repo: str
    target_branch: str | None
    branch: str
    title: str
    labels: list[str]
    environment: str
    setup: str | bool | None
    submodules: list[str]
    allow_workflows: bool
    owner: OwnerOut
    state: RunState
    archived: bool
    schedule_id: str | None = Field(description="The schedule that created it.")
    scheduled_for: datetime | None
    created_at: datetime
    updated_at: datetime
    runs: list[RunOut] = Field(description="The latest, 100 at most (20 in a list of sessions).")
    earlier_runs: int = Field(description="How many earlier runs there are; `/sessions/{id}/runs` has them.")
    pull_request: PullRequestOut | None

    @classmethod
    def of(cls, session: Session) -> SessionOut:
        return cls.model_validate(session)


class SessionPage(BaseModel):
    items: list[SessionOut]
    next: str | None = Field(description="The cursor of the next page.")


class RunPage(BaseModel):
    items: list[RunOut]
    next: str | None = Field(description="The `before` of the next page.")


class StoredEvent(_Answer):
    """One line of a session's log as it was stored; `event_shapes` describes the types."""

    seq: int
    at: datetime
    type: EventType
    run_id: str | None
    data: dict[str, Any]

    @classmethod
    def of(cls, event: Event) -> StoredEvent:
        return cls.model_validate(event)
