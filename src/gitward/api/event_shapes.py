"""The shape of each type of event, for the description of the API.

The API sends events as they are stored; a test compares what the service writes with these shapes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, RootModel

from gitward.api.usage_shapes import UsageOut
from gitward.errors import Reason
from gitward.sessions.model import EventType, RunState, StepName, StepState


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


class _Event(BaseModel):
    seq: int = Field(description="1, 2, … within the session, without gaps.")
    at: datetime


class ModelFailingData(BaseModel):
    host: str
    status: int | None = Field(description="Of the last answer; null: there was none.")
    times: int = Field(description="Requests that failed since a model answered.")


class _RunEvent(_Event):
    run_id: str


class SessionCreatedEvent(_Event):
    type: Literal[EventType.SESSION_CREATED]
    run_id: str | None  # none: it is not about a run
    data: SessionCreatedData


class SessionUpdatedEvent(_Event):
    type: Literal[EventType.SESSION_UPDATED]
    run_id: str | None  # none: it is not about a run
    data: SessionUpdatedData


class RunQueuedEvent(_RunEvent):
    type: Literal[EventType.RUN_QUEUED]
    data: RunQueuedData


class RunStartedEvent(_RunEvent):
    type: Literal[EventType.RUN_STARTED]
    data: AttemptData


class RunTakenOverEvent(_RunEvent):
    type: Literal[EventType.RUN_TAKEN_OVER]
    data: AttemptData


class RunCancellingEvent(_RunEvent):
    type: Literal[EventType.RUN_CANCELLING]
    data: NoData


class RunEndedEvent(_RunEvent):
    type: Literal[EventType.RUN_ENDED]
    data: RunEndedData


class StepStartedEvent(_RunEvent):
    type: Literal[EventType.STEP_STARTED]
    data: StepStartedData


class StepRetryingEvent(_RunEvent):
    type: Literal[EventType.STEP_RETRYING]
    data: StepRetryingData


class StepEndedEvent(_RunEvent):
    type: Literal[EventType.STEP_ENDED]
    data: StepEndedData


class OutputEvent(_RunEvent):
    type: Literal[EventType.OUTPUT]
    data: OutputData


class PolicyDeniedEvent(_RunEvent):
    type: Literal[EventType.POLICY_DENIED]
    data: PolicyDeniedData


class BranchPushedEvent(_RunEvent):
    type: Literal[EventType.BRANCH_PUSHED]
    data: BranchPushedData


class EgressOpenedEvent(_RunEvent):
    type: Literal[EventType.EGRESS_OPENED]
    data: EgressOpenedData


class IssueOpenedEvent(_RunEvent):
    type: Literal[EventType.ISSUE_OPENED]
    data: IssueOpenedData


class WorkKeptEvent(_RunEvent):
    type: Literal[EventType.WORK_KEPT]
    data: WorkKeptData


class PullRequestOpenedEvent(_RunEvent):
    type: Literal[EventType.PULL_REQUEST_OPENED]
    data: PullRequestTold


class NoticeEvent(_RunEvent):
    type: Literal[EventType.NOTICE]
    data: NoticeData


class AgentStartedEvent(_RunEvent):
    type: Literal[EventType.AGENT_STARTED]
    data: AgentStartedData


class AgentMessageEvent(_RunEvent):
    type: Literal[EventType.AGENT_MESSAGE]
    data: AgentTextData


class AgentThoughtEvent(_RunEvent):
    type: Literal[EventType.AGENT_THOUGHT]
    data: AgentTextData


class AgentToolEvent(_RunEvent):
    type: Literal[EventType.AGENT_TOOL]
    data: AgentToolData


class AgentPlanEvent(_RunEvent):
    type: Literal[EventType.AGENT_PLAN]
    data: AgentPlanData


class AgentUsageEvent(_RunEvent):
    type: Literal[EventType.AGENT_USAGE]
    data: AgentUsageData


class AgentAskedEvent(_RunEvent):
    type: Literal[EventType.AGENT_ASKED]
    data: AgentAskedData


class AgentEndedEvent(_RunEvent):
    type: Literal[EventType.AGENT_ENDED]
    data: AgentEndedData


class ModelFailingEvent(_RunEvent):
    type: Literal[EventType.MODEL_FAILING]
    data: ModelFailingData


class UsageCountedEvent(_RunEvent):
    type: Literal[EventType.USAGE_COUNTED]
    data: UsageOut


AnyEvent = Annotated[
    SessionCreatedEvent
    | SessionUpdatedEvent
    | RunQueuedEvent
    | RunStartedEvent
    | RunTakenOverEvent
    | RunCancellingEvent
    | RunEndedEvent
    | StepStartedEvent
    | StepRetryingEvent
    | StepEndedEvent
    | OutputEvent
    | PolicyDeniedEvent
    | BranchPushedEvent
    | EgressOpenedEvent
    | IssueOpenedEvent
    | WorkKeptEvent
    | PullRequestOpenedEvent
    | NoticeEvent
    | AgentStartedEvent
    | AgentMessageEvent
    | AgentThoughtEvent
    | AgentToolEvent
    | AgentPlanEvent
    | AgentUsageEvent
    | AgentAskedEvent
    | AgentEndedEvent
    | ModelFailingEvent
    | UsageCountedEvent,
    Field(discriminator="type"),
]


class EventOut(RootModel[AnyEvent]):
    """One line of a session's log. `type` determines the shape of `data`."""


class EventPage(BaseModel):
    items: list[EventOut]
    next: str | None = Field(description="The `after` of the next page.")
