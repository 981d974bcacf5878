"""The domain: sessions, runs, steps, events. Values are frozen; a change makes a new one."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from gitward.grants.usage import Usage


class RunState(StrEnum):
    """`queued → running → succeeded | failed | cancelled`, with `cancelling` between the wish and the end."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in FINAL_STATES


FINAL_STATES = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})
ACTIVE_STATES = frozenset({RunState.RUNNING, RunState.CANCELLING})


class StepName(StrEnum):
    """The steps of a run, in their order."""

    PREFLIGHT = "preflight"
    AUTHENTICATE = "authenticate"
    CHECKOUT = "checkout"
    SETUP = "setup"  # only when there is one
    EXECUTE = "execute"
    PUBLISH = "publish"
    PULL_REQUEST = "pull_request"
    SETTLE = "settle"


class StepState(StrEnum):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class EventType(StrEnum):
    SESSION_CREATED = "session.created"
    SESSION_UPDATED = "session.updated"
    RUN_QUEUED = "run.queued"
    RUN_STARTED = "run.started"
    RUN_TAKEN_OVER = "run.taken_over"
    RUN_CANCELLING = "run.cancelling"
    RUN_ENDED = "run.ended"
    STEP_STARTED = "step.started"
    STEP_ENDED = "step.ended"
    STEP_RETRYING = "step.retrying"
    OUTPUT = "output"
    POLICY_DENIED = "policy.denied"
    BRANCH_PUSHED = "branch.pushed"
    EGRESS_OPENED = "egress.opened"
    ISSUE_OPENED = "issue.opened"
    WORK_KEPT = "work.kept"
    PULL_REQUEST_OPENED = "pull_request.opened"
    NOTICE = "notice"
    AGENT_STARTED = "agent.started"
    AGENT_MESSAGE = "agent.message"
    AGENT_THOUGHT = "agent.thought"
    AGENT_TOOL = "agent.tool"
    AGENT_PLAN = "agent.plan"
    AGENT_USAGE = "agent.usage"
    AGENT_ASKED = "agent.asked"
    AGENT_ENDED = "agent.ended"
    MODEL_FAILING = "model.failing"
    USAGE_COUNTED = "usage.counted"


class PublishMode(StrEnum):
    """What becomes of the change: a draft or ready pull request, a pushed branch, or only a kept patch."""

    DRAFT = "draft"
    READY = "ready"
    BRANCH = "branch"
    DRY_RUN = "dry_run"


HOST = "host"  # the environment with the tools of the worker's machine
Setup = str | bool | None  # a command; True: the repository's file; False: none; None: the file, for a prompt, if any


class ArtifactKind(StrEnum):
    """What is kept of an attempt's work."""

    DIFF = "diff"  # these three: all that the branch has beyond its target
    PATCH = "patch"
    BUNDLE = "bundle"
    RUN_DIFF = "run_diff"  # the run's own change; kept only when the run did not start at the target's commit
    RUN_PATCH = "run_patch"
    RUN_BUNDLE = "run_bundle"
    SUBMODULES = "submodules"  # a bundle of the commits that were made inside submodules
    CONVERSATION = "conversation"  # what an agent remembers; no route serves it


RUN_KINDS = {  # the run's own change, by what it is in the whole one
    ArtifactKind.DIFF: ArtifactKind.RUN_DIFF,
    ArtifactKind.PATCH: ArtifactKind.RUN_PATCH,
    ArtifactKind.BUNDLE: ArtifactKind.RUN_BUNDLE,
}


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Who owns a session: the JWT's issuer and subject."""

    issuer: str
    subject: str


@dataclass(frozen=True, kw_only=True)
class Publish:
    mode: PublishMode = PublishMode.DRAFT
    title: str | None = None  # of the pull request; None: made from the session's title
    body: str | None = None  # None: tells what ran
    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a run's agent may use; None: no limit."""

    requests: int | None = None  # that begin
    tokens: int | None = None  # of all kinds
    usd: float | None = None  # by the operator's prices
    seconds: int | None = None  # of the agent's turn


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """What a run does; without command and prompt it only checks out and creates the branch."""

    command: str | None = None  # given to /bin/bash -c inside the checkout
    prompt: str | None = None  # for the agent; never beside a command
    agent: str | None = None  # its name in the catalogue; there is one with every prompt
    model: str | None = None  # None: the catalogue's, or the agent's own
    budget: Budget | None = None  # beside a prompt only
    env: dict[str, str] = field(default_factory=dict)
    environment: str | None = None  # whose tools setup and instruction find; None: those of the worker's machine
    setup: Setup = None  # what makes the checkout ready
    timeout_seconds: int | None = None  # of the whole run; None: the service's limit
    commit_message: str | None = None
    publish: Publish = Publish()
    publish_of: str | None = None  # the run whose kept work is published; nothing else is done then
    publish_attempt: int | None = None  # whose artifacts of that run are taken

    @property
    def works(self) -> bool:
        """Whether it may change something."""
        return self.command is not None or self.prompt is not None


@dataclass(frozen=True, kw_only=True)
class AgentChoice:
    """Who does what a prompt says."""

    name: str
    model: str | None  # None: the agent's own choice


@dataclass(frozen=True, kw_only=True)
class PullRequest:
    number: int
    url: str
    state: str  # open | closed | merged
    draft: bool


@dataclass(frozen=True, kw_only=True)
class Step:
    name: StepName
    state: StepState
    started_at: datetime
    seconds: float | None  # None while it runs


@dataclass(frozen=True, kw_only=True)
class Run:
    id: str
    session_id: str
    number: int  # 1, 2, … within the session
    state: RunState
    reason: str | None  # errors.Reason, of a failed run
    message: str | None  # one sentence about the outcome
    instruction: Instruction
    changed: bool | None  # None until publish knows
    head_sha: str | None  # of the session branch after this run
    exit_code: int | None  # of the instruction's command
    retry_of: str | None
    attempt: int  # 0 until a worker takes it
    output_truncated: bool
    cancel_requested_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    pull_request: PullRequest | None
    usage: Usage | None = None  # of models; None: none was asked
    steps: tuple[Step, ...] = ()
    queued_because: str | None = None  # why a queued run waits
    queue_place: int | None = None  # among its owner's waiting runs, or behind an earlier one in its session; 1: next

    @property
    def agent(self) -> AgentChoice | None:
        """Whose work it is; None: a command's."""
        name = self.instruction.agent
        return None if name is None else AgentChoice(name=name, model=self.instruction.model)

    @property
    def environment(self) -> str:
        """Whose tools its setup and its instruction find."""
        return self.instruction.environment or HOST

    @property
    def publish_of(self) -> str | None:
        """The run whose kept work this one publishes."""
        return self.instruction.publish_of


@dataclass(frozen=True, kw_only=True)
class Session:
    id: str
    owner: Owner
    repo: str
    target_branch: str | None  # None: the repository's default, until preflight learned it
    branch: str
    title: str
    labels: tuple[str, ...]
    submodules: tuple[str, ...]
    allow_workflows: bool
    environment: str  # of runs that name none
    state: RunState
    archived: bool
    pull_request: PullRequest | None
    pushed_sha: str | None  # head of the branch after our last push
    schedule_id: str | None  # the schedule that made it
    scheduled_for: datetime | None  # at which of its times
    created_at: datetime
    updated_at: datetime
    opened_issues: tuple[int, ...] = ()  # numbers of those that its commands opened
    setup: Setup = None  # of runs that name none
    claims: Mapping[str, Any] = field(default_factory=dict)  # of its last request: those that the rules looked at
    runs: tuple[Run, ...] = ()  # the latest

    @property
    def earlier_runs(self) -> int:
        """How many runs are before those that it is told with."""
        return self.runs[0].number - 1 if self.runs else 0


@dataclass(frozen=True, kw_only=True)
class Event:
    """One line of a session's log. `seq` has no gaps and follows the order of commits."""

    session_id: str
    seq: int
    at: datetime
    type: EventType
    run_id: str | None
    data: dict[str, Any]


_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no letter is taken for a digit
_LENGTH = 16


def new_id(prefix: str) -> str:
    """A random identifier, 80 bits: `ses_0f3k…`."""
    return f"{prefix}_" + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def is_id(value: str, prefix: str) -> bool:
    """Whether `new_id(prefix)` could have made it; nothing else is worth a look into the database."""
    kind, _, rest = value.partition("_")
    return kind == prefix and len(rest) == _LENGTH and set(rest) <= set(_ALPHABET)


def now() -> datetime:
    return datetime.now(UTC)
