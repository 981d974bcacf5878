"""Step `preflight`: every reason that can be known before a sandbox opens."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from functools import partial

from gitward.errors import Reason, RunFailure
from gitward.github import preflight as questions
from gitward.github.client import Connection
from gitward.github.collaborators import Permission, is_login, permission_of
from gitward.github.names import same_repository
from gitward.github.ownership import Known
from gitward.github.retries import Retries
from gitward.runs.attempt import Attempt
from gitward.runs.commands.deadline import within_deadline
from gitward.runs.commands.github_calls import request, step_patience
from gitward.runs.services import JobServices
from gitward.sessions.model import PublishMode, StepName, now
from gitward.store.database import Transaction


async def preflight(services: JobServices, run_id: str) -> questions.Facts:
    """Takes the token, asks GitHub, and returns what the run needs to know."""
    attempt = await Attempt.begin(services, run_id)
    retries, seconds = step_patience(attempt, StepName.PREFLIGHT)
    async with attempt.step(StepName.PREFLIGHT):
        facts = await within_deadline(attempt, _request(attempt, retries), seconds=seconds, late=_late(seconds))
        for notice in facts.notices:
            await attempt.notice(notice)
    return facts


def _late(seconds: float) -> RunFailure:
    return RunFailure(Reason.TIMED_OUT, f"GitHub did not answer within {seconds:g} s; retry the run.")


async def _request(attempt: Attempt, retries: Retries) -> questions.Facts:
    services, session = attempt.services, attempt.session
    limit = services.settings.time_limit(attempt.run.instruction.timeout_seconds)

    known = await _earlier_pushes(attempt)

    wanted = questions.Wanted(
        repo=session.repo,
        target_branch=session.target_branch,
        branch=session.branch,
        needed_until=now() + timedelta(seconds=limit),
        pushes=attempt.run.instruction.publish.mode is not PublishMode.DRY_RUN,
    )

    async def check(github: Connection) -> questions.Facts:
        facts = await questions.check(github, wanted, known=known, admit=partial(services.admission, session))
        if services.settings.login_claim is not None:
            login = session.claims.get(services.settings.login_claim)
            await _check_collaborator(github, facts.repository, session.submodules, login)
        return facts

    facts = await request(attempt, retries, check, level=logging.INFO)
    await attempt.write(partial(_store_findings, attempt, facts))
    return facts


async def _check_collaborator(github: Connection, repository: str, submodules: Sequence[str], login: object) -> None:
    """The owner may have lost access since the run was queued, or its schedule was posted.

    :raises RunFailure: they have, or GitHub does not say.
    """
    wanted = [(repository, Permission.WRITE, "write to"), *((name, Permission.READ, "read") for name in submodules)]
    for name, needed, verb in wanted:
        held = await permission_of(github, name, login) if isinstance(login, str) and is_login(login) else None
        if held is None or held < needed:
            raise RunFailure(
                Reason.TOKEN_LACKS_PERMISSION,
                f"GitHub does not let {login if held is not None else 'the owner of this session'} {verb} {name}, "
                "which this server asks for; retry when it does.",
            )


def _store_findings(attempt: Attempt, facts: questions.Facts, tx: Transaction) -> None:
    """Notes the names of repository and target, and what became of the pull request."""
    progress, hold = attempt.services.progress, attempt.hold
    learned: dict[str, object] = {"repo": facts.repository, "target_branch": facts.target_branch}
    opened = hold.session.pull_request
    if opened is not None and facts.pull_request_state not in {None, opened.state}:
        learned["pull_request"] = {**asdict(opened), "state": facts.pull_request_state}
    is_same = same_repository(hold.session.repo, facts.repository)
    if not is_same and not progress.record_move(tx, hold, facts.repository):
        raise RunFailure(
            Reason.PUSH_REJECTED,
            f"{hold.session.repo} is {facts.repository} now, and its branch {hold.session.branch} is taken; post "
            "a session with another branch.",
        )
    progress.update_session(tx, hold, **learned)


async def _earlier_pushes(attempt: Attempt) -> Known:
    """What the session's earlier runs did to its branch. A worker that was lost may not have noted its push."""
    session = attempt.session
    heads = await attempt.write(lambda tx: attempt.services.progress.branch_heads(tx, attempt.hold))
    pull_request = session.pull_request
    return Known(
        pushed_sha=session.pushed_sha,
        heads=heads,
        pull_request=pull_request.number if pull_request else None,
    )
