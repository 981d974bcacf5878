"""What an owner can do with sessions and runs, and that nobody else can."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa

from gitward.errors import Conflict, NotFound
from gitward.sessions.model import (
    HOST,
    EventType,
    Instruction,
    Owner,
    Publish,
    PublishMode,
    Run,
    RunState,
    Session,
)
from gitward.sessions.publish_request import PublishChange
from gitward.sessions.service import SessionChange
from gitward.store.database import Database, Transaction
from tests_support import Backend

FULL = Instruction(
    command="make\nexit",
    env={"A": "b", "GRÜN": "🫨"},
    timeout_seconds=5,
    commit_message="Change\n\nmore",
    publish=Publish(mode=PublishMode.READY, title="T", body="B", labels=("l",), reviewers=("r",)),
)


async def add(backend: Backend, owner: Owner, session: Session, instruction: Instruction = FULL) -> Run:
    with backend.database.transaction() as tx:
        return backend.sessions.add_run(tx, owner, session.id, instruction)


@contextlib.contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """The statements that reach the database inside this block."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    sa.event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        sa.event.remove(database.engine, "before_cursor_execute", note)


async def cancel(backend: Backend, owner: Owner, session: Session) -> Session:
    with backend.database.transaction() as tx:
        return backend.sessions.cancel(tx, owner, session.id)


async def change(backend: Backend, owner: Owner, session: Session, **values: object) -> Session:
    with backend.database.transaction() as tx:
        return backend.sessions.change(tx, owner, session.id, SessionChange(**values))  # type: ignore[arg-type]  # any change


async def claim(backend: Backend, run: Run, worker: str = "worker-1") -> None:
    with backend.database.transaction() as tx:
        backend.progress(worker).take(tx, run.id)


class TestCreate:
    async def test_what_was_asked_for_is_what_is_stored(self, backend: Backend, alice: Owner) -> None:
        created = await backend.create(
            alice,
            repo="Acme/Widgets",
            target_branch="main",
            branch="fix/1",
            title="A title",
            labels=("one", "two"),
            submodules=("acme/other",),
            allow_workflows=True,
            instruction=FULL,
        )
        stored = await backend.get(alice, created.id)
        assert replace(stored, runs=()) == replace(created, runs=())
        assert stored.runs[0].instruction == FULL
        assert (stored.repo, stored.branch, stored.environment) == ("Acme/Widgets", "fix/1", HOST)
        assert (stored.state, stored.archived, stored.pull_request) == (RunState.QUEUED, False, None)

    async def test_a_branch_and_a_title_are_made_up(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice, instruction=Instruction(command=f"\n  {'x' * 100}\nmore"))
        assert re.fullmatch(r"ses_[0-9a-hjkmnp-tv-z]{16}", session.id)
        assert session.branch == f"gitward/{session.id[4:12]}"
        assert session.title == f"Run {'x' * 71}…"
        assert (await backend.create(alice)).title == "Check out the repository"

    @pytest.mark.parametrize(
        ("command", "title"),
        [
            ("make\tall \x1b[31m\u202e", "Run make all  [31m "),
            (f"curl -H 'X: ghp_{'a1' * 18}' x", "Run curl -H 'X: ***' x"),
            ("\n\nfirst\nsecond", "Run first"),
        ],
    )
    async def test_a_title_that_is_made_up_is_fit_to_be_read_by_others(
        self, backend: Backend, alice: Owner, command: str, title: str
    ) -> None:
        """It becomes that of the commit and of the pull request."""
        assert (await backend.create(alice, instruction=Instruction(command=command))).title == title

    async def test_a_branch_is_one_session_s_alone(self, backend: Backend, alice: Owner, bob: Owner) -> None:
        """Whoever owns it, however the repository is written; an archived one's too."""
        first = await backend.create(alice, branch="fix")
        await backend.end(first.runs[0].id)
        await change(backend, alice, first, archived=True)
        with pytest.raises(Conflict, match="The branch fix of ACME/Widgets is taken; name another one") as raised:
            await backend.create(bob, repo="ACME/Widgets", branch="fix")
        assert [error.field for error in raised.value.errors] == ["branch"]
        await backend.create(bob, repo="acme/others", branch="fix")

    async def test_a_new_session_tells_that_it_was_made_and_queued(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice)
        events = await backend.events(session.id)
        assert [(event.seq, event.type, event.run_id) for event in events] == [
            (1, EventType.SESSION_CREATED, None),
            (2, EventType.RUN_QUEUED, session.runs[0].id),
        ]

    async def test_the_claims_of_the_last_request_are_kept(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice, claims={"groups": ["a"]})
        assert (await backend.get(alice, session.id)).claims == {"groups": ["a"]}
        with backend.database.transaction() as tx:
            backend.sessions.note_claims(tx, alice, session.id, {"groups": ["b"], "team": "c"})
        assert (await backend.get(alice, session.id)).claims == {"groups": ["b"], "team": "c"}


class TestRuns:
    async def test_runs_are_numbered_and_only_the_first_is_on_the_queue(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice)
        more = [await add(backend, alice, session) for _ in range(3)]
        assert [run.number for run in more] == [2, 3, 4]
        assert await backend.jobs() == [session.runs[0].id]
        stored = await backend.get(alice, session.id)
        assert [run.number for run in stored.runs] == [1, 2, 3, 4]
        assert [run.queued_because for run in stored.runs[1:]] == [
            "An earlier run of this session has not ended yet."
        ] * 3
        assert [run.queue_place for run in stored.runs] == [1, 1, 2, 3]

    async def test_each_end_puts_the_next_one_on_the_queue(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice)
        runs = [session.runs[0], await add(backend, alice, session), await add(backend, alice, session)]
        for number, run in enumerate(runs):
            assert await backend.jobs() == [run.id for run in runs[: number + 1]]
            await backend.end(run.id)
        assert await backend.jobs() == [run.id for run in runs]

    async def test_a_follow_up_of_an_ended_run_is_on_the_queue_at_once(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice)
        await backend.end(session.runs[0].id)
        run = await add(backend, alice, session)
        assert await backend.jobs() == [session.runs[0].id, run.id]
        assert (await backend.get(alice, session.id)).state is RunState.QUEUED

    async def test_a_retry_is_a_new_run_with_the_old_instruction(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice, instruction=FULL)
        await backend.end(session.runs[0].id, RunState.FAILED)
        with backend.database.transaction() as tx:
            run = backend.sessions.retry(tx, alice, session.id, session.runs[0].id)
        assert (run.number, run.retry_of, run.instruction) == (2, session.runs[0].id, FULL)
        first, second = (await backend.get(alice, session.id)).runs
        assert (first.state, second.state, second.retry_of) == (RunState.FAILED, RunState.QUEUED, first.id)

    async def test_a_run_that_has_not_ended_is_not_retried(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice)
        for _ in range(2):  # queued, then running
            with (
                pytest.raises(Conflict, match="only an ended run can be retried"),
                backend.database.transaction() as tx,
            ):
                backend.sessions.retry(tx, alice, session.id, session.runs[0].id)
            await claim(backend, session.runs[0])

    async def test_a_run_is_found_in_its_own_session_only(self, backend: Backend, alice: Owner) -> None:
        one, other = await backend.create(alice), await backend.create(alice)
        with backend.database.snapshot() as tx:
            assert (backend.sessions.get_run(tx, alice, one.id, one.runs[0].id)).id == one.runs[0].id
            for run_id in (other.runs[0].id, "run_0000000000000000", "", "\0", "run_\0", "%"):
                with pytest.raises(NotFound):
                    backend.sessions.get_run(tx, alice, one.id, run_id)


class TestCancel:
    async def test_what_is_queued_ends_at_once(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice)
        await add(backend, alice, session)
        ended = await cancel(backend, alice, session)
        assert ended.state is RunState.CANCELLED
        assert all(run.state is RunState.CANCELLED and run.ended_at for run in ended.runs)
        last = (await backend.events(session.id))[-2:]
        assert [(event.type, event.data["state"]) for event in last] == [(EventType.RUN_ENDED, "cancelled")] * 2

    async def test_what_is_running_is_asked_to_end(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice)
        follow_up = await add(backend, alice, session)
        await claim(backend, session.runs[0])
        first, second = (await cancel(backend, alice, session)).runs
        assert (first.state, second.state) == (RunState.CANCELLING, RunState.CANCELLED)
        assert first.cancel_requested_at is not None
        assert first.ended_at is None
        await backend.end(first.id, RunState.CANCELLED)
        assert follow_up.id not in await backend.jobs()

    async def test_cancelling_twice_or_what_has_ended_changes_nothing(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice)
        await claim(backend, session.runs[0])
        once = await cancel(backend, alice, session)
        assert await cancel(backend, alice, session) == once
        await backend.end(session.runs[0].id, RunState.CANCELLED)
        events = await backend.events(session.id)
        assert (await cancel(backend, alice, session)).state is RunState.CANCELLED
        assert await backend.events(session.id) == events

    async def test_a_long_line_is_cancelled_in_as_few_statements_as_a_short_one(
        self, backend: Backend, alice: Owner
    ) -> None:
        """Whoever queued thousands of runs must not keep all other writers out while they are cancelled."""
        asked = []
        for follow_ups in (2, 20):
            session = await backend.create(alice)
            for _ in range(follow_ups):
                await add(backend, alice, session)
            with counted(backend.database) as statements:
                await cancel(backend, alice, session)
            asked.append(len(statements))
        assert asked[0] == asked[1]

    async def test_a_cancelled_session_takes_new_runs(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice)
        await cancel(backend, alice, session)
        run = await add(backend, alice, session)
        assert (await backend.jobs())[-1] == run.id


class TestChange:
    async def test_what_is_left_out_stays(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice, title="Old", labels=("a",))
        assert (await change(backend, alice, session, title="New")).labels == ("a",)
        assert (await change(backend, alice, session, labels=())).title == "New"
        assert (await backend.get(alice, session.id)).labels == ()

    async def test_a_change_is_told_and_no_change_is_not(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice, title="Old", labels=("a",))
        await change(backend, alice, session, title="Old", labels=("a",))
        assert len(await backend.events(session.id)) == 2
        await change(backend, alice, session, title="New", labels=("b",))
        told = (await backend.events(session.id))[-1]
        assert (told.type, told.data) == (EventType.SESSION_UPDATED, {"title": "New", "labels": ["b"]})

    async def test_an_archived_session_keeps_everything_and_takes_no_runs(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice)
        await backend.end(session.runs[0].id)
        assert (await change(backend, alice, session, archived=True)).archived
        assert (await change(backend, alice, session, archived=True)).archived
        with pytest.raises(Conflict, match="archived"):
            await add(backend, alice, session)
        with backend.database.transaction() as tx, pytest.raises(Conflict, match="archived"):
            backend.sessions.retry(tx, alice, session.id, session.runs[0].id)
        await change(backend, alice, session, archived=False)
        assert (await add(backend, alice, session)).number == 2

    async def test_a_session_with_work_to_do_is_not_archived(self, backend: Backend, alice: Owner) -> None:
        session = await backend.create(alice)
        with pytest.raises(Conflict, match="cancel them before you archive it"):
            await change(backend, alice, session, archived=True)
        await claim(backend, session.runs[0])
        with pytest.raises(Conflict, match="cancel them before you archive it"):
            await change(backend, alice, session, archived=True)
        assert not (await backend.get(alice, session.id)).archived


Call = Callable[[Backend, Transaction, Owner, Session], object]
CALLS: dict[str, Call] = {
    "get_session": lambda b, tx, who, s: b.sessions.get_session(tx, who, s.id),
    "get_run": lambda b, tx, who, s: b.sessions.get_run(tx, who, s.id, s.runs[0].id),
    "events": lambda b, tx, who, s: b.sessions.events(tx, who, s.id, after=0, limit=1),
    "change": lambda b, tx, who, s: b.sessions.change(tx, who, s.id, SessionChange(title="x")),
    "cancel": lambda b, tx, who, s: b.sessions.cancel(tx, who, s.id),
    "add_run": lambda b, tx, who, s: b.sessions.add_run(tx, who, s.id, FULL),
    "publish": lambda b, tx, who, s: b.sessions.publish(tx, who, s.id, s.runs[0].id, PublishChange()),
    "note_claims": lambda b, tx, who, s: b.sessions.note_claims(tx, who, s.id, {"groups": ["a"]}),
    "retry": lambda b, tx, who, s: b.sessions.retry(tx, who, s.id, s.runs[0].id),
}


class TestOwners:
    @pytest.mark.parametrize("call", CALLS)
    async def test_another_owner_s_session_is_not_there(
        self, backend: Backend, alice: Owner, bob: Owner, call: str
    ) -> None:
        """Bob; and Alice of another issuer. The refusal is that of a session that does not exist."""
        session = await backend.create(alice)
        await backend.end(session.runs[0].id)
        missing = replace(session, id="ses_0000000000000000")
        before = await backend.get(alice, session.id), await backend.events(session.id)
        for owner in (bob, replace(alice, issuer="https://other.example")):
            with backend.database.transaction() as tx:
                with pytest.raises(NotFound) as hidden:
                    CALLS[call](backend, tx, owner, session)
                with pytest.raises(NotFound) as absent:
                    CALLS[call](backend, tx, alice, missing)
            assert str(hidden.value) == str(absent.value)
        assert (await backend.get(alice, session.id), await backend.events(session.id)) == before
