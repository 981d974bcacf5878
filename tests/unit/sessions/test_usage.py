"""What a run used is kept with it and counts once for its owner's day."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from gitward.grants.usage import ModelUsage, Tokens, Usage
from gitward.sessions import usage_days
from gitward.sessions.model import Budget, EventType, Instruction, Owner, now
from gitward.sessions.rows import WITH_BUDGET, WITH_PROMPT, instruction_from_json, instruction_to_json, version_of
from gitward.sessions.usage_days import DAYS_KEPT, DayUsage
from gitward.store import schema
from tests_support import Backend


def usage(requests: int, tokens: int = 10) -> Usage:
    used = ModelUsage(model="m", requests=requests, tokens=Tokens(output=requests * tokens), usd=requests * 0.5)
    return Usage(by_model=(used,), seconds=1.5)


async def test_what_is_counted_is_kept_told_and_adds_up_to_the_day_once(
    backend: Backend, alice: Owner, bob: Owner
) -> None:
    first, second = [await backend.create(alice), await backend.create(alice)]
    progress, days = backend.progress(), []
    with backend.database.transaction() as tx:
        held, other = progress.take(tx, first.runs[0].id), progress.take(tx, second.runs[0].id)
        for hold, counted, told in (
            (held, usage(1), False),
            (held, usage(1), False),  # a connection broke in the commit, and the write is made again
            (other, usage(2), True),
            (held, usage(4), True),
        ):
            days.append(progress.record_usage(tx, hold, counted, told=told).today)
        assert usage_days.read(tx, bob, now()) == DayUsage()
    assert [each.requests for each in days] == [1, 1, 3, 6]
    assert days[-1] == DayUsage(requests=6, tokens=60, usd=3.0)
    assert (await backend.get(alice, first.id)).runs[0].usage == usage(4)
    shown = [each.data for each in await backend.events(first.id) if each.type is EventType.USAGE_COUNTED]
    assert shown == [usage(4).to_json()]


async def test_a_day_begins_at_midnight_and_old_days_go(backend: Backend, alice: Owner) -> None:
    at = now()
    with backend.database.transaction() as tx:
        for days in (DAYS_KEPT + 2, DAYS_KEPT + 1, 1, 0):
            usage_days.add(tx, alice, at - timedelta(days=days), DayUsage(requests=days + 1))
        assert usage_days.read(tx, alice, at).requests == 1
        kept = tx.execute(sa.select(schema.usage_days.c.requests).order_by(schema.usage_days.c.day)).scalars()
        assert list(kept) == [2, 1]


def test_a_budget_is_stored_and_only_workers_that_know_budgets_take_its_run() -> None:
    plain = Instruction(prompt="Tidy up.")
    bounded = Instruction(prompt="Tidy up.", budget=Budget(requests=3, usd=0.5))
    assert instruction_from_json(instruction_to_json(bounded)) == bounded
    assert "budget" not in instruction_to_json(plain)
    assert [version_of(each) for each in (Instruction(), plain, bounded)] == [None, WITH_PROMPT, WITH_BUDGET]
