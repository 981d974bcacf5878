"""The job: one run of a session, from the token to the pull request.

Four checkpointed steps. A worker that takes the job over repeats the step that was not completed, so every step
may happen twice: each claims the run first, and what an old attempt writes is refused.
"""

from __future__ import annotations

import logging

from gitward.errors import RunFailure
from gitward.runs.checkpoints import RunCancelled, step
from gitward.runs.services import JobServices
from gitward.runs.steps.preflight import preflight
from gitward.runs.steps.pull_request import pull_request
from gitward.runs.steps.settle import cancelled, failed, settle, succeeded
from gitward.runs.work import work
from gitward.sessions.progress import AttemptLost

log = logging.getLogger(__name__)


async def run_session(parts: JobServices, run_id: str) -> None:
    """Brings the run to a final state. Its only input is the run's id."""
    result = proposed = None
    try:
        try:
            facts = await step("preflight", preflight, parts, run_id)
            result = await step("work", work, parts, run_id, facts)
            if result["wants_pull_request"]:
                proposed = await step("pull_request", pull_request, parts, run_id, facts)
            outcome = succeeded(result, proposed)
        except RunCancelled as end:
            outcome = cancelled(end, result)
        except RunFailure as failure:
            outcome = failed(failure, result)
        await step("settle", settle, parts, run_id, outcome)
    except AttemptLost as lost:
        log.info("Stopped: %s", lost)
