"""Converts between rows and domain values: the only module that knows both shapes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from gitward.grants.usage import Usage
from gitward.sessions.model import (
    Budget,
    Event,
    EventType,
    Instruction,
    Owner,
    Publish,
    PublishMode,
    PullRequest,
    Run,
    RunState,
    Session,
    Step,
    StepName,
    StepState,
)

# The checkpoints' version of a run with a prompt, from its beginning: a worker of before there were agents would take
# it for a run without an instruction, and leaves it alone.
WITH_PROMPT = 2
WITH_BUDGET = 3  # of a prompt with a budget: a worker that knows none leaves it alone
WITH_ENVIRONMENT = 4  # of a run with an environment or a setup of its own: the same
_LEFT_OUT = (  # when there is none
    *("publish_of", "publish_attempt", "prompt", "agent", "model", "budget", "environment", "setup"),
)


def instruction_to_json(instruction: Instruction) -> dict[str, Any]:
    value = asdict(instruction)
    return {name: each for name, each in value.items() if name not in _LEFT_OUT or each is not None}


def instruction_from_json(value: dict[str, Any]) -> Instruction:
    publish = value.get("publish") or {}
    return Instruction(
        command=value.get("command"),
        prompt=value.get("prompt"),
        agent=value.get("agent"),
        model=value.get("model"),
        budget=Budget(**value["budget"]) if value.get("budget") else None,
        env=dict(value.get("env") or {}),
        environment=value.get("environment"),
        setup=value.get("setup"),
        timeout_seconds=value.get("timeout_seconds"),
        commit_message=value.get("commit_message"),
        publish=Publish(
            mode=PublishMode(publish.get("mode", PublishMode.DRAFT)),
            title=publish.get("title"),
            body=publish.get("body"),
            labels=tuple(publish.get("labels") or ()),
            reviewers=tuple(publish.get("reviewers") or ()),
        ),
        publish_of=value.get("publish_of"),
        publish_attempt=value.get("publish_attempt"),
    )


def version_of(instruction: Instruction) -> int | None:
    """The checkpoints' version of a run from its beginning: which workers understand it; None: all."""
    if instruction.environment is not None or instruction.setup not in {None, False}:
        return WITH_ENVIRONMENT
    if instruction.prompt is None:
        return None
    return WITH_PROMPT if instruction.budget is None else WITH_BUDGET


def pull_request_from_json(value: dict[str, Any] | None) -> PullRequest | None:
    return PullRequest(**value) if value else None


def step_from_row(row: sa.Row[Any]) -> Step:
    return Step(name=StepName(row.name), state=StepState(row.state), started_at=row.started_at, seconds=row.seconds)


def run_from_row(row: sa.Row[Any], steps: Iterable[Step] = ()) -> Run:
    return Run(
        id=row.id,
        session_id=row.session_id,
        number=row.number,
        state=RunState(row.state),
        reason=row.reason,
        message=row.message,
        instruction=instruction_from_json(row.instruction),
        changed=row.changed,
        head_sha=row.head_sha,
        exit_code=row.exit_code,
        retry_of=row.retry_of,
        attempt=row.attempt,
        output_truncated=row.output_truncated,
        cancel_requested_at=row.cancel_requested_at,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        pull_request=pull_request_from_json(row.pull_request),
        usage=None if row.usage is None else Usage.of_stored(row.usage),
        steps=tuple(steps),
    )


def session_from_row(row: sa.Row[Any], runs: Iterable[Run] = ()) -> Session:
    return Session(
        id=row.id,
        owner=Owner(issuer=row.issuer, subject=row.subject),
        repo=row.repo,
        target_branch=row.target_branch,
        branch=row.branch,
        title=row.title,
        labels=tuple(row.labels),
        submodules=tuple(row.submodules),
        allow_workflows=row.allow_workflows,
        environment=row.environment,
        state=RunState(row.state),
        archived=row.archived,
        pull_request=pull_request_from_json(row.pull_request),
        pushed_sha=row.pushed_sha,
        schedule_id=row.schedule_id,
        scheduled_for=row.scheduled_for,
        created_at=row.created_at,
        updated_at=row.updated_at,
        opened_issues=tuple(row.opened_issues or ()),
        setup=row.setup,
        claims=row.claims or {},
        runs=tuple(runs),
    )


def event_from_row(row: sa.Row[Any]) -> Event:
    return Event(
        session_id=row.session_id,
        seq=row.seq,
        at=row.at,
        type=EventType(row.type),
        run_id=row.run_id,
        data=row.data,
    )
