"""Lists show an owner's own sessions, newest first, in pages that do not shift."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitward.errors import InvalidRequest, Reason
from gitward.sessions.model import Owner, RunState, Session
from gitward.sessions.service import SessionChange
from gitward.sessions.session_list import Page, SessionFilter
from tests_support import Backend


async def page(backend: Backend, owner: Owner, **wanted: object) -> Page:
    with backend.database.snapshot() as tx:
        return backend.sessions.list_sessions(tx, owner, SessionFilter(**wanted))  # type: ignore[arg-type]  # any filter


async def ids(backend: Backend, owner: Owner, **wanted: object) -> list[str]:
    return [session.id for session in (await page(backend, owner, **wanted)).items]


async def many(backend: Backend, owner: Owner, number: int) -> list[Session]:
    """Newest first."""
    return [await backend.create(owner) for _ in range(number)][::-1]


async def test_only_the_owner_s_newest_first_with_their_runs(backend: Backend, alice: Owner, bob: Owner) -> None:
    mine = await many(backend, alice, 3)
    await many(backend, bob, 2)
    listed = (await page(backend, alice)).items
    assert [session.id for session in listed] == [session.id for session in mine]
    assert [session.runs for session in listed] == [(await backend.get(alice, each.id)).runs for each in mine]


async def test_pages_follow_one_another_without_gap_or_repeat(backend: Backend, alice: Owner) -> None:
    mine = [session.id for session in await many(backend, alice, 7)]
    seen: list[str] = []
    cursor = None
    for expected in (3, 3, 1):
        found = await page(backend, alice, limit=3, cursor=cursor)
        assert len(found.items) == expected
        seen += [session.id for session in found.items]
        cursor = found.next
    assert seen == mine
    assert cursor is None


async def test_a_page_that_is_just_full_is_the_last(backend: Backend, alice: Owner) -> None:
    await many(backend, alice, 3)
    assert (await page(backend, alice, limit=3)).next is None


async def test_new_sessions_do_not_shift_the_pages_that_follow(backend: Backend, alice: Owner) -> None:
    mine = [session.id for session in await many(backend, alice, 4)]
    first = await page(backend, alice, limit=2)
    await many(backend, alice, 3)
    assert await ids(backend, alice, limit=2, cursor=first.next) == mine[2:]


async def test_a_cursor_of_another_owner_shows_nothing_of_theirs(backend: Backend, alice: Owner, bob: Owner) -> None:
    theirs = await many(backend, bob, 3)
    mine = await backend.create(alice)
    cursor = (await page(backend, bob, limit=1)).next
    assert set(await ids(backend, alice, cursor=cursor)) <= {mine.id} - {session.id for session in theirs}


async def test_filters_by_state_repository_label_and_archive(backend: Backend, alice: Owner) -> None:
    plain = await backend.create(alice)
    labelled = await backend.create(alice, repo="Octo/Demo", labels=("a", "b's \"%_"))
    await backend.end(plain.runs[0].id, RunState.FAILED)
    with backend.database.transaction() as tx:
        backend.sessions.change(tx, alice, plain.id, SessionChange(archived=True))
    assert await ids(backend, alice, state=RunState.FAILED) == [plain.id]
    assert await ids(backend, alice, state=RunState.RUNNING) == []
    assert await ids(backend, alice, repo="octo/dEMO") == [labelled.id]
    assert await ids(backend, alice, repo="octo/%") == []
    assert await ids(backend, alice, label="b's \"%_") == [labelled.id]
    assert await ids(backend, alice, label="b") == []
    assert await ids(backend, alice, archived=True) == [plain.id]
    assert await ids(backend, alice, archived=False) == [labelled.id]
    assert await ids(backend, alice, label="a", state=RunState.FAILED) == []


def cursor_of(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


HOSTILE_CURSORS = [
    "",
    "x",
    "ä",
    "\0",
    "====",
    cursor_of(None),
    cursor_of([]),
    cursor_of(["2026-11-23T00:00:00+00:00"]),
    cursor_of(["2026-11-23T00:00:00", "ses_0000000000000000"]),
    cursor_of(["2026-11-23T00:00:00+00:00", 1]),
    cursor_of(["2026-11-23T00:00:00+00:00", "\ud800"]),
    cursor_of(["2026-11-23T00:00:00+00:00", "' OR 1=1 --"]),
    cursor_of(["0001-01-01T00:00:00+23:59", "ses_0000000000000000"]),
    cursor_of(["9999-12-31T23:59:59-23:59", "ses_0000000000000000"]),
    cursor_of({"a": 1, "b": 2}),
    cursor_of([["x"], "ses_0000000000000000"]),
    base64.urlsafe_b64encode(b"[" * 5000).decode(),
    base64.urlsafe_b64encode(b"\xff\xfe").decode(),
]


@pytest.mark.parametrize("cursor", HOSTILE_CURSORS)
async def test_a_cursor_that_is_not_ours_is_refused(backend: Backend, alice: Owner, cursor: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await page(backend, alice, cursor=cursor)
    assert [error.field for error in raised.value.errors] == ["cursor"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(cursor=st.text(max_size=100))
async def test_no_text_as_a_cursor_is_an_unexpected_error(backend: Backend, alice: Owner, cursor: str) -> None:
    with pytest.raises(InvalidRequest):
        await page(backend, alice, cursor=cursor)


async def test_dead_letters_are_found_by_their_reason(backend: Backend, alice: Owner, bob: Owner) -> None:
    """Until the session's next run; another reason, and another owner's, are not listed."""
    dead, other, others = await backend.create(alice), await backend.create(alice), await backend.create(bob)
    await backend.create(alice)
    for session, reason in ((dead, Reason.WORKER_LOST), (other, Reason.TASK_FAILED), (others, Reason.WORKER_LOST)):
        await backend.end(session.runs[0].id, RunState.FAILED, reason=reason)
    assert await ids(backend, alice, reason=Reason.WORKER_LOST) == [dead.id]
    with backend.database.transaction() as tx:
        again = backend.sessions.retry(tx, alice, dead.id, dead.runs[0].id)
    assert again.state is RunState.QUEUED
    assert await ids(backend, alice, reason=Reason.WORKER_LOST) == []
