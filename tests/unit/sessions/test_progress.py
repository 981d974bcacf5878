"""Only the current attempt of a run may tell anything about it; a run ends once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gitward.errors import Conflict, Reason
from gitward.grants.usage import ModelUsage, Tokens, Usage
from gitward.sessions.model import (
    EventType,
    Instruction,
    Owner,
    PullRequest,
    Run,
    RunState,
    Session,
    StepName,
    StepState,
)
from gitward.sessions.progress import AttemptLost, Hold, Outcome, Progress
from gitward.store.database import Transaction
from tests_support import Backend

PULL = PullRequest(number=7, url="https://github.com/acme/widgets/pull/7", state="open", draft=True)
USAGE = Usage(by_model=(ModelUsage(model="m", requests=1, tokens=Tokens(input=2)),))
DONE = Outcome(state=RunState.SUCCEEDED, message="Done.", changed=True, head_sha="a" * 40, exit_code=0)


async def claim(backend: Backend, run: Run, worker: str = "worker-1") -> Hold:
    with backend.database.transaction() as tx:
        return backend.progress(worker).take(tx, run.id)


async def types(backend: Backend, session: Session) -> list[EventType]:
    return [event.type for event in await backend.events(session.id)]


class TestClaim:
    async def test_the_first_claim_starts_the_run(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice)
        held = await claim(backend, session.runs[0])
        assert (held.attempt, held.first_attempt, held.run.state) == (1, True, RunState.RUNNING)
        assert held.run.started_at is not None
        assert held.session.state is RunState.RUNNING
        assert (await types(backend, session))[-1] is EventType.RUN_STARTED

    async def test_the_same_worker_renews_its_hold(self, backend: Backend, alice: Owner) -> None:
        """The next step of the job: nothing is told, and it is the same attempt."""
        session = await backend.create(alice)
        first = await claim(backend, session.runs[0])
        again = await claim(backend, session.runs[0])
        assert (again.attempt, again.first_attempt) == (1, True)
        assert again.run.started_at == first.run.started_at
        assert (await types(backend, session)).count(EventType.RUN_STARTED) == 1

    async def test_another_worker_takes_the_run_over(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice)
        first = await claim(backend, session.runs[0])
        second = await claim(backend, session.runs[0], "worker-2")
        assert (second.attempt, second.first_attempt) == (2, False)
        assert second.run.started_at == first.run.started_at
        last = (await backend.events(session.id))[-1]
        assert (last.type, last.data) == (EventType.RUN_TAKEN_OVER, {"attempt": 2})

    async def test_a_run_that_is_being_cancelled_stays_so_when_it_is_taken_over(
        self, backend: Backend, alice: Owner
    ) -> None:
        session = await backend.create(alice)
        await claim(backend, session.runs[0])
        with backend.database.transaction() as tx:
            backend.sessions.cancel(tx, alice, session.id)
        assert (await claim(backend, session.runs[0], "worker-2")).run.state is RunState.CANCELLING

    async def test_a_run_that_has_ended_or_is_gone_is_not_claimed(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice)
        with backend.database.transaction() as tx:
            backend.sessions.cancel(tx, alice, session.id)
        with backend.database.transaction() as tx:
            with pytest.raises(AttemptLost, match="has ended"):
                backend.progress().take(tx, session.runs[0].id)
            with pytest.raises(AttemptLost, match="is gone"):
                backend.progress().take(tx, "run_0000000000000000")


Write = Callable[[Progress, Transaction, Hold], object]
WRITES: dict[str, Write] = {
    "record_usage": lambda progress, tx, held: progress.record_usage(tx, held, USAGE, told=True),
    "guard": lambda progress, tx, held: progress.guard(tx, held),
    "record": lambda progress, tx, held: progress.record(tx, held, (EventType.NOTICE, {"message": "x"})),
    "start_step": lambda progress, tx, held: progress.start_step(tx, held, StepName.EXECUTE),
    "end_step": lambda progress, tx, held: progress.end_step(tx, held, StepName.EXECUTE, StepState.SUCCEEDED, 1.0),
    "update_session": lambda progress, tx, held: progress.update_session(tx, held, pushed_sha="b" * 40),
    "record_move": lambda progress, tx, held: progress.record_move(tx, held, "acme/gadgets"),
    "record_start": lambda progress, tx, held: progress.record_start(tx, held, "b" * 40),
    "record_push_intent": lambda progress, tx, held: progress.record_push_intent(tx, held, "b" * 40),
    "record_push": lambda progress, tx, held: progress.record_push(tx, held, "b" * 40),
    "record_truncated_output": lambda progress, tx, held: progress.record_truncated_output(tx, held),
    "record_pull_request": lambda progress, tx, held: progress.record_pull_request(tx, held, PULL, created=True),
    "record_issue": lambda progress, tx, held: progress.record_issue(tx, held, 7),
    "settle": lambda progress, tx, held: progress.settle(tx, held, DONE),
}


class TestFence:
    def test_every_method_is_fenced(self) -> None:
        """A new one must be added here."""
        public = {name for name in vars(Progress) if not name.startswith("_")}
        # The first two take and give the hold itself, the last ones only look.
        assert public == {*WRITES, "take", "release", "branch_heads", "published_run", "last_said"}

    @pytest.mark.parametrize("write", WRITES)
    async def test_an_old_attempt_writes_nothing(self, backend: Backend, alice: Owner, write: str) -> None:
        session = await backend.create(alice)
        old = await claim(backend, session.runs[0])
        await claim(backend, session.runs[0], "worker-2")
        before = await backend.get(alice, session.id), await backend.events(session.id)
        with backend.database.transaction() as tx, pytest.raises(AttemptLost):
            WRITES[write](backend.progress(), tx, old)
        assert (await backend.get(alice, session.id), await backend.events(session.id)) == before

    @pytest.mark.parametrize("write", WRITES)
    async def test_an_ended_run_is_written_no_more(self, backend: Backend, alice: Owner, write: str) -> None:
        session = await backend.create(alice)
        held = await claim(backend, session.runs[0])
        await backend.end(session.runs[0].id)
        with backend.database.transaction() as tx, pytest.raises(AttemptLost):
            WRITES[write](backend.progress(), tx, held)

    @pytest.mark.parametrize("write", WRITES)
    async def test_the_current_attempt_writes_also_while_it_is_being_cancelled(
        self, backend: Backend, alice: Owner, write: str
    ) -> None:
        """So that it can salvage and settle."""
        session = await backend.create(alice)
        held = await claim(backend, session.runs[0])
        with backend.database.transaction() as tx:
            backend.sessions.cancel(tx, alice, session.id)
        with backend.database.transaction() as tx:
            WRITES[write](backend.progress(), tx, held)

    async def test_a_worker_that_took_it_back_does_not_revive_its_old_attempt(
        self, backend: Backend, alice: Owner
    ) -> None:
        session = await backend.create(alice)
        old = await claim(backend, session.runs[0])
        await claim(backend, session.runs[0], "worker-2")
        new = await claim(backend, session.runs[0])
        assert new.attempt == 3
        with backend.database.snapshot() as tx:
            with pytest.raises(AttemptLost):
                backend.progress().guard(tx, old)
            assert backend.progress().guard(tx, new) is RunState.RUNNING


class TestSteps:
    async def test_a_step_is_told_with_its_time(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice)
        held, progress = await claim(backend, session.runs[0]), backend.progress()
        with backend.database.transaction() as tx:
            progress.start_step(tx, held, StepName.CHECKOUT)
            progress.start_step(tx, held, StepName.PREFLIGHT)
            progress.end_step(tx, held, StepName.PREFLIGHT, StepState.FAILED, 0.12345)
        steps = (await backend.get(alice, session.id)).runs[0].steps
        assert [(step.name, step.state, step.seconds) for step in steps] == [
            (StepName.PREFLIGHT, StepState.FAILED, 0.123),
            (StepName.CHECKOUT, StepState.RUNNING, None),
        ]
        last = (await backend.events(session.id))[-1]
        assert (last.type, last.data) == (
            EventType.STEP_ENDED,
            {"step": "preflight", "state": "failed", "seconds": 0.123},
        )

    async def test_a_step_that_is_done_again_replaces_the_old_one(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice)
        for worker in ("worker-1", "worker-2"):
            held = await claim(backend, session.runs[0], worker)
            with backend.database.transaction() as tx:
                backend.progress(worker).start_step(tx, held, StepName.EXECUTE)
        [step] = (await backend.get(alice, session.id)).runs[0].steps
        assert step.state is StepState.RUNNING


class TestOutcome:
    async def test_the_end_is_stored_told_and_shown_by_the_session(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice)
        held = await claim(backend, session.runs[0])
        with backend.database.transaction() as tx:
            backend.progress().settle(tx, held, DONE)
        ended = await backend.get(alice, session.id)
        run = ended.runs[0]
        assert ended.state is run.state is RunState.SUCCEEDED
        assert (run.message, run.changed, run.head_sha, run.exit_code) == ("Done.", True, "a" * 40, 0)
        assert run.ended_at is not None
        last = (await backend.events(session.id))[-1]
        assert (last.type, last.data["state"], last.data["message"]) == (EventType.RUN_ENDED, "succeeded", "Done.")

    async def test_a_failure_has_its_reason(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice)
        held = await claim(backend, session.runs[0])
        failed = Outcome(state=RunState.FAILED, reason=Reason.TASK_FAILED, message="It failed.", exit_code=3)
        with backend.database.transaction() as tx:
            backend.progress().settle(tx, held, failed)
        run = (await backend.get(alice, session.id)).runs[0]
        assert (run.state, run.reason, run.exit_code) == (RunState.FAILED, "task_failed", 3)

    async def test_a_run_ends_once(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice)
        held = await claim(backend, session.runs[0])
        with backend.database.transaction() as tx:
            backend.progress().settle(tx, held, DONE)
            with pytest.raises(AttemptLost):
                backend.progress().settle(tx, held, DONE)
        assert (await types(backend, session)).count(EventType.RUN_ENDED) == 1

    async def test_the_session_shows_its_latest_run(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice)
        with backend.database.transaction() as tx:
            backend.sessions.add_run(tx, alice, session.id, session.runs[0].instruction)
        await backend.end(session.runs[0].id)
        assert (await backend.get(alice, session.id)).state is RunState.QUEUED

    async def test_a_pull_request_is_told_once_and_outlives_a_failure(self, backend: Backend, alice: Owner) -> None:
        """It was opened by an attempt that died before it told so; then the step after it fails."""
        session = await backend.create(alice)
        for _ in range(2):
            held = await claim(backend, session.runs[0])
            with backend.database.transaction() as tx:
                backend.progress().record_pull_request(tx, held, PULL, created=False)
        held = await claim(backend, session.runs[0])
        with backend.database.transaction() as tx:
            failed = Outcome(state=RunState.FAILED, reason=Reason.INTERNAL, message="It failed.")
            backend.progress().settle(tx, held, failed)
        ended = await backend.get(alice, session.id)
        assert ended.pull_request == ended.runs[0].pull_request == PULL
        assert (await types(backend, session)).count(EventType.PULL_REQUEST_OPENED) == 1

    async def test_what_the_job_learned_is_the_session_s(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice)
        held = await claim(backend, session.runs[0])
        with backend.database.transaction() as tx:
            backend.progress().update_session(tx, held, target_branch="trunk", repo="Acme/Widgets")
            backend.progress().record_truncated_output(tx, held)
        learned = await backend.get(alice, session.id)
        assert (learned.target_branch, learned.repo) == ("trunk", "Acme/Widgets")
        assert learned.runs[0].output_truncated


async def test_a_step_that_a_lost_attempt_stood_in_is_over(backend: Backend, alice: Owner) -> None:
    session = await backend.create(alice)
    held = await claim(backend, session.runs[0])
    with backend.database.transaction() as tx:
        backend.progress().start_step(tx, held, StepName.EXECUTE)
    await claim(backend, session.runs[0], "worker-2")
    [run] = (await backend.get(alice, session.id)).runs
    [step] = run.steps
    assert step.state is StepState.FAILED
    assert step.seconds is not None
    kinds = [event.type for event in await backend.events(session.id)]
    assert kinds[-2:] == [EventType.STEP_ENDED, EventType.RUN_TAKEN_OVER]


class TestEarlierAttempts:
    """What a later attempt can know of them."""

    async def test_where_the_first_attempt_began_counts(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice)
        first = await claim(backend, session.runs[0])
        with backend.database.transaction() as tx:
            begun = backend.progress().record_start(tx, first, "a" * 40)
            assert (begun.start_sha, begun.pushing_sha) == ("a" * 40, None)
            backend.progress().record_push_intent(tx, first, "b" * 40)
        second = await claim(backend, session.runs[0], "worker-2")
        with backend.database.transaction() as tx:
            begun = backend.progress("worker-2").record_start(tx, second, "b" * 40)
            assert (begun.start_sha, begun.pushing_sha) == ("a" * 40, "b" * 40)

    async def test_an_old_attempt_cannot_note_a_push(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice)
        first = await claim(backend, session.runs[0])
        await claim(backend, session.runs[0], "worker-2")
        with backend.database.transaction() as tx, pytest.raises(AttemptLost):
            backend.progress().record_push_intent(tx, first, "b" * 40)

    async def test_what_was_pushed_comes_before_what_may_have_been(self, backend: Backend, alice: Owner) -> None:
        """Of all runs of the session, the newest first; of no other session; each head once."""
        session, other = await backend.create(alice), await backend.create(alice)
        with backend.database.transaction() as tx:
            second = backend.sessions.add_run(tx, alice, session.id, Instruction())
        first = await claim(backend, session.runs[0])
        elsewhere = await claim(backend, other.runs[0])
        with backend.database.transaction() as tx:
            progress = backend.progress()
            assert progress.branch_heads(tx, first) == ()
            progress.record_push_intent(tx, elsewhere, "9" * 40)
            progress.record_push_intent(tx, first, "a" * 40)
            assert progress.branch_heads(tx, first) == ("a" * 40,)
            progress.record_push(tx, first, "a" * 40)
            progress.settle(tx, first, DONE)
        follow_up = await claim(backend, second)
        with backend.database.transaction() as tx:
            progress.record_push_intent(tx, follow_up, "b" * 40)
            assert progress.branch_heads(tx, follow_up) == ("a" * 40, "b" * 40)
            progress.record_push(tx, follow_up, "c" * 40)
            assert progress.branch_heads(tx, follow_up) == ("c" * 40, "b" * 40, "a" * 40)

    async def test_a_session_moves_where_nobody_has_its_branch(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice, branch="fix")
        await backend.create(alice, repo="Acme/Gadgets", branch="fix")
        held = await claim(backend, session.runs[0])
        with backend.database.transaction() as tx:
            assert not backend.progress().record_move(tx, held, "acme/gadgets")
            for _ in range(2):  # also when the first commit was not known to have arrived
                assert backend.progress().record_move(tx, held, "Acme/Things")
        assert (await backend.get(alice, session.id)).repo == "Acme/Things"
        with pytest.raises(Conflict):  # the branch is taken there by now
            await backend.create(alice, repo="acme/things", branch="fix")
        await backend.create(alice, repo="acme/widgets", branch="fix")

    async def test_a_push_is_told_once_whoever_noted_it(self, backend: Backend, alice: Owner) -> None:
        """The command pushes; then the job does, and finds the branch there. A claim may be older than both."""
        session = await backend.create(alice)
        held = await claim(backend, session.runs[0])
        for head in ("a" * 40, "b" * 40, "b" * 40, "a" * 40):
            with backend.database.transaction() as tx:
                backend.progress().record_push(tx, held, head)
        told = [event.data for event in await backend.events(session.id) if event.type is EventType.BRANCH_PUSHED]
        assert told == [{"branch": session.branch, "head_sha": letter * 40} for letter in "aba"]
        assert (await backend.get(alice, session.id)).pushed_sha == "a" * 40

    async def test_the_run_whose_work_is_published_is_found(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice, instruction=Instruction(command="make"))
        first = await claim(backend, session.runs[0])
        with backend.database.transaction() as tx:
            assert backend.progress().published_run(tx, first) is None
            backend.progress().settle(tx, first, DONE)
            instruction = Instruction(publish_of=first.run.id, publish_attempt=1)
            again = backend.sessions.add_run(tx, alice, session.id, instruction)
        held = await claim(backend, again)
        with backend.database.transaction() as tx:
            found = backend.progress().published_run(tx, held)
        assert found is not None
        assert (found.id, found.instruction.command) == (first.run.id, "make")

    async def test_what_an_agent_said_last_is_found(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice, instruction=Instruction(prompt="Tidy up", agent="claude"))
        held = await claim(backend, session.runs[0])
        progress = backend.progress()
        with backend.database.transaction() as tx:
            assert progress.last_said(tx, held.run.id) == ""
            for text in ("of a lost attempt", "of this one"):
                progress.record(tx, held, (EventType.AGENT_ENDED, {"text": text}))
            progress.record(tx, held, (EventType.AGENT_MESSAGE, {"text": "no end"}))
            assert progress.last_said(tx, held.run.id) == "of this one"
            assert progress.last_said(tx, "run_of_nobody") == ""
