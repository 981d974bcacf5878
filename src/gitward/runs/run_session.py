"""The job: one run of a session, from the token to the pull request.

Four checkpoints. A worker that takes the job over repeats the one that was not completed, so everything in it may
happen twice: each takes the run first, and what an old attempt writes is refused.
"""

from __future__ import annotations

import logging

from gitward.errors import RunFailure
from gitward.runs.checkpoints import RunCancelled
from gitward.runs.facts import PREFLIGHT, PULL_REQUEST, SETTLE, WORK
from gitward.runs.services import JobServices
from gitward.runs.steps.preflight import preflight
from gitward.runs.steps.pull_request import pull_request
from gitward.runs.steps.settle import cancelled, failed, settle, succeeded
from gitward.runs.work import work
from gitward.sessions.progress import AttemptLost

log = logging.getLogger(__name__)


async def run_session(services: JobServices, run_id: str) -> None:
    """Brings the run to a final state. Its only input is the run's id."""
    result = proposed = None
    try:
        try:
            facts = await PREFLIGHT.once(services, run_id, preflight)
            result = await WORK.once(services, run_id, work, facts)
            if result.wants_pull_request:
                proposed = await PULL_REQUEST.once(services, run_id, pull_request, facts)
            outcome = succeeded(result, proposed)
        except RunCancelled as end:
            outcome = cancelled(end, result)
        except RunFailure as failure:
            outcome = failed(failure, result)
        await SETTLE.once(services, run_id, settle, outcome)
    except AttemptLost as lost:
        log.info("Stopped: %s", lost)
