"""Step `pull_request`: by the job's own client, outside the sandbox; found by head branch, else created."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from gitward.errors import Reason, RunFailure
from gitward.github.pulls import Proposal, propose
from gitward.jobs.attempt import Attempt
from gitward.jobs.parts import Parts
from gitward.jobs.supervision import supervise
from gitward.sessions.model import PublishMode, PullRequest, Run, Session, StepName
from gitward.telemetry.redaction import Redactor

PULL_REQUEST_SECONDS = 60.0
TITLE_CHARACTERS = 256  # GitHub's limit
COMMAND_CHARACTERS = 16_000  # shown in the body, for which GitHub allows 65,536


async def pull_request(parts: Parts, run_id: str, facts: dict[str, Any]) -> dict[str, Any]:
    """Returns `PullRequest` as JSON."""
    attempt = await Attempt.begin(parts, run_id)
    async with attempt.step(StepName.PULL_REQUEST):
        opened = await supervise(attempt, _open(attempt, facts), seconds=PULL_REQUEST_SECONDS, late=_late())
    return asdict(opened)


def _late() -> RunFailure:
    return RunFailure(
        Reason.PULL_REQUEST_FAILED,
        f"GitHub did not answer within {PULL_REQUEST_SECONDS:g} s; the branch is pushed, open one by hand.",
    )


async def _open(attempt: Attempt, facts: dict[str, Any]) -> PullRequest:
    parts, session, run = attempt.parts, attempt.claim.session, attempt.claim.run
    wanted = run.instruction.publish
    proposed = await propose(
        parts.github.connect(await parts.tokens.take()),
        Proposal(
            repository=facts["repository"],
            branch=session.branch,
            target_branch=facts["target_branch"],
            title=(wanted.title or session.title)[:TITLE_CHARACTERS],
            body=wanted.body or body(session, run, f"{parts.settings.session_url}/{session.id}"),
            draft=wanted.mode is PublishMode.DRAFT,
            labels=wanted.labels,
            reviewers=wanted.reviewers,
        ),
    )
    opened = PullRequest(number=proposed.number, url=proposed.url, state=proposed.state, draft=proposed.draft)
    await attempt.write(lambda tx: parts.progress.opened(tx, attempt.claim, opened, created=proposed.created))
    for notice in proposed.notices:
        await attempt.notice(notice)
    return opened


def body(session: Session, run: Run, link: str) -> str:
    """Tells what ran. The command stands in a fence that it cannot close."""
    command = Redactor().text(run.instruction.command or "")  # whoever pasted a token into it, others shall not see it
    if len(command) > COMMAND_CHARACTERS:
        command = f"{command[:COMMAND_CHARACTERS]}\n… (cut; the whole is in the session)"
    fence = "`" * max(3, 1 + max((len(tick) for tick in _runs_of_backticks(command)), default=0))
    return (
        f"Gitward ran this on `{session.target_branch}`:\n\n{fence}sh\n{command}\n{fence}\n\n"
        f"Session {session.id}, run {run.number}: {link}\n"
    )


def _runs_of_backticks(text: str) -> list[str]:
    return ["`" * len(part) for part in "".join(c if c == "`" else " " for c in text).split()]
