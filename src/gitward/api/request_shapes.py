"""Requests as JSON. The edge between HTTP and the domain: nothing below knows pydantic."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from gitward.api.field_types import (
    ENV_SCHEMA,
    Branch,
    EnvironmentName,
    Label,
    LongText,
    Repository,
    Reviewer,
    SetupIn,
    Title,
    checked_env,
    whole_number,
)
from gitward.sessions.model import HOST, Budget, Instruction, Publish, PublishMode
from gitward.sessions.new_session import NewSession
from gitward.sessions.publish_request import PublishChange
from gitward.sessions.service import SessionChange
from gitward.sessions.webhook_targets import check_secret, check_url
from gitward.sessions.webhooks import Callback, Format

_T = TypeVar("_T")


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

    requests: Annotated[int, Field(ge=1, le=10**9), BeforeValidator(whole_number)] | None = Field(
        None, description="Requests that begin."
    )
    tokens: Annotated[int, Field(ge=1, le=10**15), BeforeValidator(whole_number)] | None = Field(
        None, description="Tokens of all kinds."
    )
    usd: Annotated[float, Field(gt=0, le=10**6, strict=False)] | None = Field(
        None, description="By the operator's prices."
    )
    seconds: Annotated[int, Field(ge=1, le=7 * 24 * 3600), BeforeValidator(whole_number)] | None = Field(
        None, description="Of the agent's turn."
    )

    def budget(self) -> Budget | None:
        given = Budget(requests=self.requests, tokens=self.tokens, usd=self.usd, seconds=self.seconds)
        return None if given == Budget() else given


class InstructionIn(_Request):
    """What a run does: a command, or a prompt for an agent. With neither it only checks out and creates the branch."""

    command: LongText | None = Field(None, description="Given to /bin/bash -c inside the checkout.")
    prompt: LongText | None = Field(None, description="For an agent, instead of a command.")
    agent: Label | None = Field(
        None, description="The agent that gets the prompt; `/agents` lists them. Default: the only one that is ready."
    )
    model: Label | None = Field(None, description="Default: the agent's own choice.")
    budget: BudgetIn | None = None
    env: Annotated[dict[str, str], Field(max_length=64, json_schema_extra=ENV_SCHEMA), AfterValidator(checked_env)] = {}
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
    timeout_seconds: Annotated[int, Field(ge=1, le=7 * 24 * 3600), BeforeValidator(whole_number)] | None = None
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
