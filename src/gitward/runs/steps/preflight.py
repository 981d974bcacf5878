"""Step `preflight`: every reason that can be known before a sandbox opens."""

from __future__ import annotations

import logging
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import Any

from gitward.errors import Reason, RunFailure
from gitward.github import preflight as questions
from gitward.github.client import Connection
from gitward.github.names import same_repository
from gitward.github.ownership import Known
from gitward.github.retries import Retries
from gitward.runs.attempt import Attempt
from gitward.runs.commands.deadline import within_deadline
from gitward.runs.commands.github_calls import request, step_patience
from gitward.runs.services import JobServices
from gitward.sessions.model import PublishMode, StepName, now
from gitward.store.database import Transaction


async def preflight(parts: JobServices, run_id: str) -> dict[str, Any]:
    """Takes the token, asks GitHub, and returns `questions.Facts` as JSON."""
    attempt = await Attempt.begin(parts, run_id)
    retries, seconds = step_patience(attempt, StepName.PREFLIGHT)
    async with attempt.step(StepName.PREFLIGHT):
        facts = await within_deadline(attempt, _request(attempt, retries), seconds=seconds, late=_late(seconds))
        for notice in facts.notices:
            await attempt.notice(notice)
    return asdict(facts)


def _late(seconds: float) -> RunFailure:
    return RunFailure(Reason.TIMED_OUT, f"GitHub did not answer within {seconds:g} s; retry the run.")


async def _request(attempt: Attempt, retries: Retries) -> questions.Facts:
    parts, session = attempt.parts, attempt.claim.session
    limit = parts.settings.time_limit(attempt.claim.run.instruction.timeout_seconds)

    known = await _earlier_pushes(attempt)

    wanted = questions.Wanted(
        repo=session.repo,
        target_branch=session.target_branch,
        branch=session.branch,
        needed_until=now() + timedelta(seconds=limit),
        pushes=attempt.claim.run.instruction.publish.mode is not PublishMode.DRY_RUN,
    )

    async def check(github: Connection) -> questions.Facts:
        return await questions.check(github, wanted, known=known, admit=partial(parts.admission, session))

    facts = await request(attempt, retries, check, level=logging.INFO)
    await attempt.write(partial(_store_findings, attempt, facts))
    return facts


def _store_findings(attempt: Attempt, facts: questions.Facts, tx: Transaction) -> None:
    """Notes the names of repository and target, and what became of the pull request."""
    progress, claim = attempt.parts.progress, attempt.claim
    learned: dict[str, object] = {"repo": facts.repository, "target_branch": facts.target_branch}
    opened = claim.session.pull_request
    if opened is not None and facts.pull_request_state not in {None, opened.state}:
        learned["pull_request"] = {**asdict(opened), "state": facts.pull_request_state}
    is_same = same_repository(claim.session.repo, facts.repository)
    if not is_same and not progress.moved(tx, claim, facts.repository):
        raise RunFailure(
            Reason.PUSH_REJECTED,
            f"{claim.session.repo} is {facts.repository} now, and its branch {claim.session.branch} is taken; post "
            "a session with another branch.",
        )
    progress.learned(tx, claim, **learned)


async def _earlier_pushes(attempt: Attempt) -> Known:
    """What the session's earlier runs did to its branch. A worker that was lost may not have noted its push."""
    session = attempt.claim.session
    heads = await attempt.write(lambda tx: attempt.parts.progress.branch_heads(tx, attempt.claim))
    pull_request = session.pull_request
    return Known(
        pushed_sha=session.pushed_sha,
        heads=heads,
        pull_request=pull_request.number if pull_request else None,
    )
