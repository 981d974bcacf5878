"""The shape of `data` in each type of event, for the description of the API."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from gitward.errors import Reason
from gitward.sessions.model import RunState, StepName, StepState


class PullRequestTold(BaseModel):
    number: int
    url: str
    state: str
    draft: bool


class SessionCreatedData(BaseModel):
    repo: str
    branch: str
    schedule_id: str | None = Field(None, description="The schedule that created it; absent when a caller did.")


class SessionUpdatedData(BaseModel):
    """The changed fields; the others stay."""

    title: str | None = None
    labels: list[str] | None = None
    archived: bool | None = None


class RunQueuedData(BaseModel):
    number: int
    retry_of: str | None
    publish_of: str | None = Field(None, description="The run whose kept work this one publishes.")


class AttemptData(BaseModel):
    attempt: int


class NoData(BaseModel):
    """No fields beside the type."""


class RunEndedData(BaseModel):
    """The fields after `message` are absent for a run that was cancelled before it began."""

    state: RunState
    reason: Reason | None
    message: str | None
    changed: bool | None = None
    head_sha: str | None = None
    exit_code: int | None = None
    pull_request: PullRequestTold | None = None


class StepStartedData(BaseModel):
    step: StepName


class StepRetryingData(BaseModel):
    step: StepName
    cause: str
    seconds: float = Field(description="Until it is tried again.")
    number: int = Field(alias="try")


class StepEndedData(BaseModel):
    step: StepName
    state: StepState
    seconds: float


class OutputData(BaseModel):
    step: StepName
    stream: Literal["stdout", "stderr"]
    text: str


class PolicyDeniedData(BaseModel):
    rule: str
    message: str


class BranchPushedData(BaseModel):
    branch: str
    head_sha: str


class IssueOpenedData(BaseModel):
    number: int


class EgressOpenedData(BaseModel):
    host: str
    port: str


class WorkKeptData(BaseModel):
    run_id: str
    attempt: int
    head_sha: str
    artifacts: dict[str, str] = Field(description="The address of each kept kind.")


class NoticeData(BaseModel):
    message: str


class AgentStartedData(BaseModel):
    agent: str
    version: str | None = Field(description="As the agent reports it.")
    model: str | None = Field(description="null: the agent's own choice.")
    mode: str | None
    conversation: str
    resumed: bool


class AgentTextData(BaseModel):
    message: str = Field(description="All pieces of one message have the same.")
    text: str


class AgentDiff(BaseModel):
    path: str
    old: str
    new: str


class AgentToolData(BaseModel):
    """The last one of an id tells the whole call."""

    id: str
    kind: str
    title: str
    status: Literal["pending", "in_progress", "completed", "failed", "cancelled"]
    paths: list[str]
    input: str | None
    output: str | None
    diff: list[AgentDiff]


class AgentPlanEntry(BaseModel):
    content: str
    status: str
    priority: str


class AgentPlanData(BaseModel):
    entries: list[AgentPlanEntry]


class AgentUsageData(BaseModel):
    """Of the model's context, as the agent tells it."""

    used: int
    size: int


class AgentAskedData(BaseModel):
    what: str
    answer: Literal["allow_once", "cancelled"]


class AgentEndedData(BaseModel):
    stop_reason: str | None = Field(description="As the agent reported it; null: it did not.")
    text: str = Field(description="The agent's last message.")
    tools: int = Field(description="Its tool calls.")
    failed_tools: int
    dropped: int = Field(description="Updates without an event: unknown ones, or too many.")


class ModelFailingData(BaseModel):
    host: str
    status: int | None = Field(description="Of the last answer; null: there was none.")
    times: int = Field(description="Requests that failed since a model answered.")
