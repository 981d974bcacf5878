"""Step `pull_request`: by the job's own client, outside the sandbox; found by head branch, else created."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import asdict
from typing import Any

from gitward.errors import Reason, RunFailure
from gitward.github.pulls import Proposal, Proposed, find, propose
from gitward.github.retries import Retries
from gitward.runs.attempt import Attempt
from gitward.runs.checkpoints import RunCancelled
from gitward.runs.commands.deadline import within_deadline
from gitward.runs.commands.github_calls import request, step_patience
from gitward.runs.services import JobServices
from gitward.sessions.harmless import quoted
from gitward.sessions.model import PublishMode, PullRequest, Run, Session, StepName
from gitward.telemetry.redaction import Redactor

LOOK_SECONDS = 5.0  # for a last look, after a cancel
TITLE_CHARACTERS = 256  # GitHub's limit
SAID_CHARACTERS = 5_000  # of an agent's last message; quoted they are three times as many at worst, the command too
COMMAND_CHARACTERS = 16_000  # shown in the body, for which GitHub allows 65,536


async def pull_request(parts: JobServices, run_id: str, facts: dict[str, Any]) -> dict[str, Any]:
    """Returns `PullRequest` as JSON."""
    attempt = await Attempt.begin(parts, run_id)
    retries, seconds = step_patience(attempt, StepName.PULL_REQUEST)
    source = await attempt.write(lambda tx: parts.progress.published_run(tx, attempt.claim)) or attempt.claim.run
    said = await attempt.write(lambda tx: parts.progress.last_said(tx, source.id))
    proposal = _proposal(attempt, facts, source, said)
    async with attempt.step(StepName.PULL_REQUEST):
        try:
            opened = await within_deadline(
                attempt, _open(attempt, proposal, retries), seconds=seconds, late=_late(seconds)
            )
        except RunCancelled:
            await _find_opened(attempt, proposal, retries)
            raise
    return asdict(opened)


def _late(seconds: float) -> RunFailure:
    return RunFailure(
        Reason.PULL_REQUEST_FAILED,
        f"GitHub did not answer within {seconds:g} s; the branch is pushed, open one by hand.",
    )


def _proposal(attempt: Attempt, facts: dict[str, Any], source: Run, said: str) -> Proposal:
    """:param source: the run whose work it is; not the one that publishes it again.
    :param said: its agent's last message.
    """
    session, run = attempt.claim.session, attempt.claim.run
    wanted, link = run.instruction.publish, f"{attempt.parts.settings.session_url}/{session.id}"
    return Proposal(
        repository=facts["repository"],
        branch=session.branch,
        target_branch=facts["target_branch"],
        title=(wanted.title or session.title)[:TITLE_CHARACTERS],
        body=wanted.body or body(session, source, link, said),
        draft=wanted.mode is PublishMode.DRAFT,
        labels=wanted.labels,
        reviewers=wanted.reviewers,
    )


async def _open(attempt: Attempt, proposal: Proposal, retries: Retries) -> PullRequest:
    proposed = await request(attempt, retries, lambda github: propose(github, proposal), level=logging.DEBUG)
    opened = await _opened(attempt, proposed)
    for notice in proposed.notices:
        await attempt.notice(notice)
    return opened


async def _opened(attempt: Attempt, proposed: Proposed) -> PullRequest:
    """Notes the pull request and tells it."""
    opened = PullRequest(number=proposed.number, url=proposed.url, state=proposed.state, draft=proposed.draft)
    progress = attempt.parts.progress
    await attempt.write(lambda tx: progress.opened(tx, attempt.claim, opened, created=proposed.created))
    return opened


async def _find_opened(attempt: Attempt, proposal: Proposal, retries: Retries) -> None:
    """After a cancel: GitHub may have opened it before its answer was given up; then it is told."""
    with contextlib.suppress(TimeoutError, RunFailure):
        async with asyncio.timeout(LOOK_SECONDS):
            proposed = await request(attempt, retries, lambda github: find(github, proposal), level=logging.DEBUG)
            if proposed is not None:
                await _opened(attempt, proposed)


def body(session: Session, run: Run, link: str, said: str = "") -> str:
    """Tells what ran, or what an agent was asked and said at last."""
    where = f"Session {session.id}, run {run.number}: {link}\n"
    if run.agent is None:
        return f"Gitward ran this on `{session.target_branch}`:\n\n{_fenced(run.instruction.command, 'sh')}\n\n{where}"
    if len(said) > SAID_CHARACTERS:
        said = f"{said[:SAID_CHARACTERS]}\n… (cut; the whole is in the session)"
    told = f"{quoted(said)}\n\n" if said else ""
    model = "" if run.agent.model is None else f", model `{run.agent.model}`"
    asked = f"Gitward asked the agent `{run.agent.name}`{model}, on `{session.target_branch}`:"
    return f"{told}{asked}\n\n{_fenced(run.instruction.prompt, 'text')}\n\n{where}"


def _fenced(text: str | None, language: str) -> str:
    """In a fence that it cannot close."""
    text = Redactor().text(text or "")  # whoever pasted a token into it, others shall not see it
    if len(text) > COMMAND_CHARACTERS:
        text = f"{text[:COMMAND_CHARACTERS]}\n… (cut; the whole is in the session)"
    fence = "`" * max(3, 1 + max((len(tick) for tick in _runs_of_backticks(text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def _runs_of_backticks(text: str) -> list[str]:
    return ["`" * len(part) for part in "".join(c if c == "`" else " " for c in text).split()]
