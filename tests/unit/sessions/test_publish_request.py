"""What an ended run kept is published by a new run, once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gitward.errors import Conflict, NotFound
from gitward.sessions import artifacts
from gitward.sessions.artifacts import Origin
from gitward.sessions.model import (
    ArtifactKind,
    EventType,
    Instruction,
    Owner,
    Publish,
    PublishMode,
    PullRequest,
    Run,
    RunState,
    Session,
)
from gitward.sessions.progress import Outcome
from gitward.sessions.publish_request import PublishChange
from gitward.sessions.run_queries import MOST_RUNS
from gitward.sessions.service import Published, SessionChange
from gitward.store import schema
from tests_support import Backend

PULL = PullRequest(number=7, url="https://github.com/acme/widgets/pull/7", state="open", draft=True)
WANTED = Publish(mode=PublishMode.READY, title="T", body="B", labels=("l",), reviewers=("r",))


async def ended(backend: Backend, owner: Owner, *, publish: Publish = WANTED, **outcome: Any) -> Session:
    """A session whose run ended, with a bundle of its first attempt."""
    instruction = Instruction(command="make", env={"A": "b"}, timeout_seconds=5, publish=publish)
    session = await backend.create(owner, instruction=instruction)
    await keep(backend, session.runs[0])
    await settle(backend, session.runs[0], **outcome)
    return await backend.get(owner, session.id)


async def keep(backend: Backend, run: Run, *, attempt: int = 1) -> None:
    with backend.database.transaction() as tx:
        artifacts.store(tx, Origin(run_id=run.id, attempt=attempt), ArtifactKind.BUNDLE, b"# v2 git bundle")


async def settle(backend: Backend, run: Run, *, state: RunState = RunState.FAILED, **outcome: Any) -> None:
    with backend.database.transaction() as tx:
        progress = backend.progress()
        claim = progress.take(tx, run.id)
        if outcome.get("pull_request"):
            progress.record_pull_request(tx, claim, outcome["pull_request"], created=True)
        progress.settle(tx, claim, Outcome(state=state, message="It ended.", **outcome))


async def publish(backend: Backend, owner: Owner, session: Session, run: Run, **change: Any) -> Published:
    with backend.database.transaction() as tx:
        return backend.sessions.publish(tx, owner, session.id, run.id, PublishChange(**change))


async def test_the_new_run_has_nothing_to_do_but_to_publish(backend: Backend, alice: Owner) -> None:
    """As the run wanted it; and neither its command nor its variables go along."""
    session = await ended(backend, alice)
    published = await publish(backend, alice, session, session.runs[0])
    assert published.created
    stored = (await backend.get(alice, session.id)).runs[1]
    assert stored.instruction == Instruction(publish=WANTED, publish_of=session.runs[0].id, publish_attempt=1)
    assert (stored.id, stored.number, stored.publish_of) == (published.run.id, 2, session.runs[0].id)
    assert (stored.retry_of, stored.state) == (None, RunState.QUEUED)
    assert await backend.jobs() == [session.runs[0].id, stored.id]
    queued = [event.data for event in await backend.events(session.id) if event.type is EventType.RUN_QUEUED]
    assert queued == [
        {"number": 1, "retry_of": None},
        {"number": 2, "retry_of": None, "publish_of": session.runs[0].id},
    ]


async def test_other_instructions_say_nothing_of_it(backend: Backend, alice: Owner) -> None:
    await backend.create(alice)
    with backend.database.snapshot() as tx:
        [stored] = tx.execute(schema.runs.select()).all()
    assert not [name for name in stored.instruction if name.startswith("publish_")]


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({}, {"mode": PublishMode.DRAFT}),
        ({"mode": PublishMode.BRANCH}, {"mode": PublishMode.BRANCH}),
        ({"title": "New", "labels": ()}, {"mode": PublishMode.DRAFT, "title": "New", "labels": ()}),
    ],
)
async def test_a_dry_run_becomes_a_draft_unless_something_else_is_wanted(
    backend: Backend, alice: Owner, change: dict[str, Any], wanted: dict[str, Any]
) -> None:
    dry = replace(WANTED, mode=PublishMode.DRY_RUN)
    session = await ended(backend, alice, publish=dry, state=RunState.SUCCEEDED, changed=True, head_sha="a" * 40)
    published = await publish(backend, alice, session, session.runs[0], **change)
    assert published.run.instruction.publish == replace(WANTED, **wanted)


async def test_the_newest_attempt_that_kept_a_bundle_is_published(backend: Backend, alice: Owner) -> None:
    session = await backend.create(alice)
    run = session.runs[0]
    for attempt in (1, 3, 2):
        await keep(backend, run, attempt=attempt)
    with backend.database.transaction() as tx:
        artifacts.store(tx, Origin(run_id=run.id, attempt=4), ArtifactKind.DIFF, b"a bundle was too long")
    await settle(backend, run)
    assert (await publish(backend, alice, session, run)).run.instruction.publish_attempt == 3


async def test_asked_again_it_is_the_same_run(backend: Backend, alice: Owner) -> None:
    """While it waits, while it runs, and after it succeeded; one that did not is no answer."""
    session = await ended(backend, alice)
    first = (await publish(backend, alice, session, session.runs[0])).run
    for _ in range(2):
        again = await publish(backend, alice, session, session.runs[0], mode=PublishMode.BRANCH)
        assert (again.run.id, again.created) == (first.id, False)
        with backend.database.transaction() as tx:
            backend.progress().take(tx, first.id)
    await settle(backend, first)
    second = await publish(backend, alice, session, session.runs[0])
    assert (second.run.number, second.created) == (3, True)
    with backend.database.transaction() as tx:
        backend.progress().take(tx, second.run.id)
        backend.sessions.cancel(tx, alice, session.id)
    third = await publish(backend, alice, session, session.runs[0])
    assert (third.run.number, third.created) == (4, True)
    await settle(backend, second.run, state=RunState.CANCELLED)
    await settle(backend, third.run, state=RunState.SUCCEEDED, changed=True)
    again = await publish(backend, alice, session, session.runs[0])
    assert (again.run.id, again.created) == (third.run.id, False)


async def test_it_is_found_behind_more_runs_than_a_session_is_shown_with(backend: Backend, alice: Owner) -> None:
    session = await ended(backend, alice)
    first = (await publish(backend, alice, session, session.runs[0])).run
    with backend.database.transaction() as tx:
        for _ in range(MOST_RUNS):
            backend.sessions.add_run(tx, alice, session.id, Instruction(command="true"))
    assert first.id not in {run.id for run in (await backend.get(alice, session.id)).runs}
    for asked in (session.runs[0], first):
        again = await publish(backend, alice, session, asked)
        assert (again.run.id, again.created) == (first.id, False)


async def test_publishing_a_run_that_published_is_about_the_same_work(backend: Backend, alice: Owner) -> None:
    session = await ended(backend, alice)
    first = (await publish(backend, alice, session, session.runs[0])).run
    assert (await publish(backend, alice, session, first)).run.id == first.id
    await settle(backend, first)
    second = (await publish(backend, alice, session, first)).run
    assert (second.number, second.publish_of, second.instruction.publish_attempt) == (3, session.runs[0].id, 1)


async def test_what_has_not_ended_or_kept_nothing_is_not_published(backend: Backend, alice: Owner) -> None:
    session = await backend.create(alice)
    [run] = session.runs
    with pytest.raises(Conflict, match=r"Run 1 is still queued; only the work of an ended run can be published\."):
        await publish(backend, alice, session, run)
    await settle(backend, run)
    with pytest.raises(Conflict, match="Nothing of run 1 is kept"):
        await publish(backend, alice, session, run)
    await keep(backend, run)
    await publish(backend, alice, session, run)


async def test_what_is_upstream_and_proposed_is_not_published(backend: Backend, alice: Owner) -> None:
    done: dict[str, Any] = {"state": RunState.SUCCEEDED, "changed": True, "head_sha": "a" * 40}
    session = await ended(backend, alice, **done, pull_request=PULL)
    with pytest.raises(Conflict, match=r"The work of run 1 is upstream already, and its pull request is open\."):
        await publish(backend, alice, session, session.runs[0])
    branch = await ended(backend, alice, **done, publish=Publish(mode=PublishMode.BRANCH))
    with pytest.raises(Conflict, match='upstream already; ask for the mode "draft" or "ready"'):
        await publish(backend, alice, branch, branch.runs[0])
    await publish(backend, alice, branch, branch.runs[0], mode=PublishMode.READY)


async def test_work_whose_pull_request_was_closed_or_never_opened_is_published(backend: Backend, alice: Owner) -> None:
    closed = PullRequest(number=7, url=PULL.url, state="closed", draft=False)
    done: dict[str, Any] = {"state": RunState.SUCCEEDED, "changed": True, "head_sha": "a" * 40}
    session = await ended(backend, alice, **done, pull_request=closed)
    await publish(backend, alice, session, session.runs[0])
    session = await ended(backend, alice, state=RunState.FAILED, changed=True, head_sha="a" * 40)
    await publish(backend, alice, session, session.runs[0])


async def test_an_archived_session_publishes_nothing(backend: Backend, alice: Owner) -> None:
    session = await ended(backend, alice)
    with backend.database.transaction() as tx:
        backend.sessions.change(tx, alice, session.id, SessionChange(archived=True))
    with pytest.raises(Conflict, match="archived"):
        await publish(backend, alice, session, session.runs[0])


async def test_nobody_else_publishes_it(backend: Backend, alice: Owner, bob: Owner) -> None:
    session = await ended(backend, alice)
    own = await ended(backend, bob)
    with pytest.raises(NotFound):
        await publish(backend, bob, session, session.runs[0])
    with pytest.raises(NotFound):
        await publish(backend, bob, own, session.runs[0])
