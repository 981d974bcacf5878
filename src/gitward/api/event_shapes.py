"""The shape of each type of event, for the description of the API.

The API sends events as they are stored; a test compares what the service writes with these shapes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, RootModel

from gitward.api.event_data_shapes import (
    AgentAskedData,
    AgentEndedData,
    AgentPlanData,
    AgentStartedData,
    AgentTextData,
    AgentToolData,
    AgentUsageData,
    AttemptData,
    BranchPushedData,
    EgressOpenedData,
    IssueOpenedData,
    ModelFailingData,
    NoData,
    NoticeData,
    OutputData,
    PolicyDeniedData,
    PullRequestTold,
    RunEndedData,
    RunQueuedData,
    SessionCreatedData,
    SessionUpdatedData,
    StepEndedData,
    StepRetryingData,
    StepStartedData,
    WorkKeptData,
)
from gitward.api.usage_shapes import UsageOut
from gitward.sessions.model import EventType


class _Event(BaseModel):
    seq: int = Field(description="1, 2, … within the session, without gaps.")
    at: datetime


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
