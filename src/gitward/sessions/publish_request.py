"""Publishes again what an ended run kept: what is requested, and what prevents it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gitward.errors import Conflict
from gitward.sessions.artifacts import Origin
from gitward.sessions.model import Instruction, Publish, PublishMode, Run, RunState, Session

SETTLED = (RunState.FAILED, RunState.CANCELLED, RunState.CANCELLING)  # a run that did not, or will not, publish


@dataclass(frozen=True, kw_only=True)
class PublishChange:
    """How the work is published; None leaves a value as the run had it."""

    mode: PublishMode | None = None  # None after a dry run: draft
    title: str | None = None
    body: str | None = None
    labels: tuple[str, ...] | None = None
    reviewers: tuple[str, ...] | None = None


def instruction_of(session: Session, run: Run, kept: Origin | None, change: PublishChange) -> Instruction:
    """What the new run does: no command, only the push and the pull request of what was kept.

    :param kept: whose bundle is the newest of the run.
    :raises Conflict: there is nothing to publish.
    """
    if not run.state.is_final:
        raise Conflict(f"Run {run.number} is still {run.state}; only the work of an ended run can be published.")
    if kept is None:
        raise Conflict(f"Nothing of run {run.number} is kept: it changed nothing, or its work was too large to keep.")
    publish = _publish(run.instruction.publish, change)
    if _has_pushed(run):
        _check_unproposed(session, run, publish)
    return Instruction(publish=publish, publish_of=kept.run_id, publish_attempt=kept.attempt)


def _publish(of_run: Publish, change: PublishChange) -> Publish:
    mode = PublishMode.DRAFT if of_run.mode is PublishMode.DRY_RUN else of_run.mode
    values = {name: value for name, value in vars(change).items() if value is not None}
    return replace(of_run, **{"mode": mode, **values})


def _check_unproposed(session: Session, run: Run, publish: Publish) -> None:
    """:raises Conflict: everything that is wanted is done already."""
    upstream = f"The work of run {run.number} is upstream already"
    if _is_proposed(session, run):
        raise Conflict(f"{upstream}, and its pull request is open.")
    if publish.mode is PublishMode.BRANCH:
        raise Conflict(f'{upstream}; ask for the mode "draft" or "ready" to open a pull request.')


def _has_pushed(run: Run) -> bool:
    return run.state is RunState.SUCCEEDED and run.instruction.publish.mode is not PublishMode.DRY_RUN


def _is_proposed(session: Session, run: Run) -> bool:
    """The session knows more of the pull request than the run does: it may have been closed since."""
    opened, known = run.pull_request, session.pull_request
    if opened is None:
        return False
    return (known if known is not None and known.number == opened.number else opened).state == "open"
