"""Requests and answers as JSON. The edge between HTTP and the domain: nothing below knows pydantic."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from gitward.api import patterns
from gitward.api.usage_shapes import UsageOut, usage_out
from gitward.environments.catalogue import NAME_RULE, is_name
from gitward.github.names import BRANCH_RULE, REPOSITORY_RULE, is_branch, is_repository
from gitward.sessions.model import (
    HOST,
    Budget,
    Event,
    EventType,
    Instruction,
    Publish,
    PublishMode,
    Run,
    RunState,
    Session,
    StepName,
    StepState,
)
from gitward.sessions.publish_request import PublishChange
from gitward.sessions.service import NewSession, SessionChange
from gitward.sessions.webhook_targets import check_secret, check_url
from gitward.sessions.webhooks import Callback, Format
from gitward.telemetry.redaction import Redactor

_T = TypeVar("_T")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}\Z")
_RESERVED_ENV = ("GIT_", "GH_", "GITHUB_", "LD_")
_REVIEWER = re.compile(  # '_' is in the names of enterprise-managed users
    r"[A-Za-z0-9-][A-Za-z0-9_-]{0,99}(?:/[A-Za-z0-9_-]{1,100})?\Z"
)
_JOINERS = "\u200c\u200d"  # of emoji and of some scripts; other format characters can hide or reorder text
MAX_BYTES = 65_536  # of one text; Linux takes 131,072 bytes as one argument or variable


def _repository(value: str) -> str:
    if not is_repository(value):
        raise ValueError(REPOSITORY_RULE)
    return value


def _branch(value: str) -> str:
    if not is_branch(value):
        raise ValueError(BRANCH_RULE)
    return value


def _environment(value: str) -> str:
    if not is_name(value):
        raise ValueError(NAME_RULE)
    return value


def _text(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not contain NUL")
    if not value.strip():
        raise ValueError("must not be blank")
    if len(value.encode()) > MAX_BYTES:
        raise ValueError(f"must be at most {MAX_BYTES} bytes long in UTF-8")
    return value


def _setup(value: object) -> str | bool:
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or not value:
        raise ValueError("must be a command, true or false")
    if len(value) > MAX_BYTES:
        raise ValueError(f"must be at most {MAX_BYTES} characters long")
    return _text(value)


def _line(value: str) -> str:
    if not value.strip() or not all(map(_is_shown, value)):
        raise ValueError("must be one line of printable characters")
    return value.strip()


def _is_shown(character: str) -> bool:
    return character in _JOINERS or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def _reviewer(value: str) -> str:
    if not _REVIEWER.match(value):
        raise ValueError("must be a GitHub user name (letters, digits, '-' and '_'), or a team as organization/team")
    return value


def _whole(value: object) -> object:
    """60.0 is an integer to JSON Schema, and what some languages send for one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _env(value: dict[str, str]) -> dict[str, str]:
    redactor = Redactor()
    for name, text in value.items():
        if not _ENV_NAME.match(name):
            raise ValueError("a name must be letters, digits and '_', not beginning with a digit")
        if name.upper().startswith(_RESERVED_ENV):
            raise ValueError(f"names that begin with {', '.join(_RESERVED_ENV)} are reserved")
        if "\0" in text or len(text.encode()) > MAX_BYTES:
            raise ValueError(f"a value must be at most {MAX_BYTES} bytes long in UTF-8, without NUL")
        if redactor.text(text) != text:
            raise ValueError("a value looks like a GitHub token; env is stored, so it must not hold one")
    return value


def _like(pattern: str) -> dict[str, Any]:
    """Describes the form of a text; the validator beside it decides."""
    return {"pattern": pattern}


_REPOSITORY = _like(patterns.REPOSITORY)
_LINE = _like(patterns.LINE)
_ENV = {
    "propertyNames": _like(patterns.ENV_NAME),
    "additionalProperties": {"type": "string", "maxLength": MAX_BYTES},
}

Repository = Annotated[
    str, Field(max_length=200, examples=["owner/repo"], json_schema_extra=_REPOSITORY), AfterValidator(_repository)
]
Branch = Annotated[str, Field(max_length=200, json_schema_extra=_like(patterns.BRANCH)), AfterValidator(_branch)]
Title = Annotated[str, Field(min_length=1, max_length=256, json_schema_extra=_LINE), AfterValidator(_line)]
Label = Annotated[str, Field(min_length=1, max_length=50, json_schema_extra=_LINE), AfterValidator(_line)]
Reviewer = Annotated[str, Field(max_length=201, json_schema_extra=_like(patterns.REVIEWER)), AfterValidator(_reviewer)]
LongText = Annotated[str, Field(min_length=1, max_length=65_536), AfterValidator(_text)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class PublishIn(_Request):
    """How the change is published."""

    mode: Annotated[PublishMode, Field(strict=False)] = Field(
        PublishMode.DRAFT, description="A draft or ready pull request, only the pushed branch, or only a kept patch."
    )
    title: Title | None = None
    body: LongText | None = None
    labels: Annotated[list[Label], Field(max_length=20)] = []
    reviewers: Annotated[list[Reviewer], Field(max_length=15)] = Field(
        [], description="Users, and teams as organization/team.", examples=[["octocat", "octo-org/reviewers"]]
    )


class Proposing(StrEnum):
    """The modes that publish something."""

    DRAFT = PublishMode.DRAFT
    READY = PublishMode.READY
    BRANCH = PublishMode.BRANCH


class PublishChangeIn(_Request):
    """How kept work is published. Omitted fields keep the run's values."""

    mode: Annotated[Proposing, Field(strict=False)] | None = Field(
        None, description="A draft or ready pull request, or only the pushed branch. Default after a dry run: draft."
    )
    title: Title | None = None
    body: LongText | None = None
    labels: Annotated[list[Label], Field(max_length=20)] | None = None
    reviewers: Annotated[list[Reviewer], Field(max_length=15)] | None = None


class PublishAgainIn(_Request):
    publish: PublishChangeIn = PublishChangeIn()

    def change(self) -> PublishChange:
        wanted = self.publish
        return PublishChange(
            mode=None if wanted.mode is None else PublishMode(wanted.mode),
            title=wanted.title,
            body=wanted.body,
            labels=None if wanted.labels is None else tuple(wanted.labels),
            reviewers=None if wanted.reviewers is None else tuple(wanted.reviewers),
        )


class BudgetIn(_Request):
    """What the run's agent may use of models. At a limit it is stopped, its work kept: `budget_exhausted`."""

    requests: Annotated[int, Field(ge=1, le=10**9), BeforeValidator(_whole)] | None = Field(
        None, description="Requests that begin."
    )
    tokens: Annotated[int, Field(ge=1, le=10**15), BeforeValidator(_whole)] | None = Field(
        None, description="Tokens of all kinds."
    )
    usd: Annotated[float, Field(gt=0, le=10**6, strict=False)] | None = Field(
        None, description="By the operator's prices."
    )
    seconds: Annotated[int, Field(ge=1, le=7 * 24 * 3600), BeforeValidator(_whole)] | None = Field(
        None, description="Of the agent's turn."
    )

    def budget(self) -> Budget | None:
        given = Budget(requests=self.requests, tokens=self.tokens, usd=self.usd, seconds=self.seconds)
        return None if given == Budget() else given


EnvironmentName = Annotated[
    str, Field(max_length=32, json_schema_extra=_like(patterns.ENVIRONMENT)), AfterValidator(_environment)
]


_SETUP = {"anyOf": [{"type": "string", "minLength": 1, "maxLength": MAX_BYTES}, {"type": "boolean"}]}
SetupIn = Annotated[str | bool, PlainValidator(_setup), WithJsonSchema(_SETUP)]


class InstructionIn(_Request):
    """What a run does: a command, or a prompt for an agent. With neither it only checks out and creates the branch."""

    command: LongText | None = Field(None, description="Given to /bin/bash -c inside the checkout.")
    prompt: LongText | None = Field(None, description="For an agent, instead of a command.")
    agent: Label | None = Field(
        None, description="The agent that gets the prompt; `/agents` lists them. Default: the only one that is ready."
    )
    model: Label | None = Field(None, description="Default: the agent's own choice.")
    budget: BudgetIn | None = None
    env: Annotated[dict[str, str], Field(max_length=64, json_schema_extra=_ENV), AfterValidator(_env)] = {}
    environment: EnvironmentName | None = Field(
        None,
        description="Whose tools setup and instruction find; `/environments` lists them. Default of a session: the "
        "server's, of a follow-up: the session's.",
        examples=["host"],
    )
    setup: SetupIn | None = Field(
        None,
        description="What makes the checkout ready before the instruction: a command for /bin/bash -c; `true`: the "
        "repository's `.gitward/setup`; `false`: nothing. Default: the session's; else, for a prompt, "
        "`.gitward/setup` where the repository has it.",
    )
    timeout_seconds: Annotated[int, Field(ge=1, le=7 * 24 * 3600), BeforeValidator(_whole)] | None = None
    commit_message: LongText | None = None
    publish: PublishIn = PublishIn()

    @field_validator("prompt")
    @classmethod
    def _one_of_both(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("command") is not None:
            raise ValueError("cannot be combined with a command; send one of the two")
        return value

    @field_validator("agent", "model", "budget")
    @classmethod
    def _of_a_prompt(cls, value: _T, info: ValidationInfo) -> _T:
        if value is not None and info.data.get("prompt") is None:
            raise ValueError("needs a prompt beside it")
        return value

    def instruction(self) -> Instruction:
        return Instruction(
            command=self.command,
            prompt=self.prompt,
            agent=self.agent,
            model=self.model,
            budget=None if self.budget is None else self.budget.budget(),
            env=self.env,
            environment=self.environment,
            setup=self.setup,
            timeout_seconds=self.timeout_seconds,
            commit_message=self.commit_message,
            publish=Publish(
                mode=self.publish.mode,
                title=self.publish.title,
                body=self.publish.body,
                labels=tuple(self.publish.labels),
                reviewers=tuple(self.publish.reviewers),
            ),
        )


class TemplateIn(InstructionIn):
    """A session without its branch."""

    repo: Repository
    target_branch: Branch | None = Field(
        None, description="Default: the repository's default branch.", examples=["main"]
    )
    title: Title | None = None
    labels: Annotated[list[Label], Field(max_length=20)] = []
    submodules: Annotated[list[Repository], Field(max_length=50)] = Field(
        [], description="Further repositories that the run may fetch."
    )
    allow_workflows: bool = Field(False, description="Whether a push may change .github/workflows/.")

    def new_session(self) -> NewSession:
        return NewSession(
            repo=self.repo,
            target_branch=self.target_branch,
            title=self.title,
            labels=tuple(self.labels),
            submodules=tuple(self.submodules),
            allow_workflows=self.allow_workflows,
            environment=self.environment or HOST,
            instruction=self.instruction(),
        )


class SessionIn(TemplateIn):
    """A session and its first instruction."""

    branch: Branch | None = Field(
        None,
        description="The session's own branch, never the target branch. Default: gitward/<short id>.",
        examples=["fix/readme"],
    )

    callback_url: Annotated[str, Field(max_length=2048), AfterValidator(check_url)] | None = Field(
        None, description="Where Gitward reports the pull request and the ends of runs; see docs/webhooks.md."
    )
    callback_secret: Annotated[str, Field(max_length=200), AfterValidator(check_secret)] | None = Field(
        None,
        description="Signs what is sent there. No answer has it.",
    )
    callback_format: Annotated[Format, Field(strict=False)] = Format.STANDARD

    @field_validator("callback_secret")
    @classmethod
    def _of_a_callback(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("callback_url") is None:
            raise ValueError("needs a callback_url beside it")
        return value

    @field_validator("branch")
    @classmethod
    def _own_branch(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and value == info.data.get("target_branch"):
            raise ValueError("must not be the target branch")
        return value

    def new_session(self) -> NewSession:
        callback = None
        if self.callback_url is not None:
            callback = Callback(url=self.callback_url, secret=self.callback_secret, format=self.callback_format)
        return replace(super().new_session(), branch=self.branch, callback=callback)


class SessionPatch(_Request):
    title: Title | None = None
    labels: Annotated[list[Label], Field(max_length=20)] | None = None
    archived: bool | None = None

    def change(self) -> SessionChange:
        labels = None if self.labels is None else tuple(self.labels)
        return SessionChange(title=self.title, labels=labels, archived=self.archived)


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
