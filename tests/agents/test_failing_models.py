"""What the broker saw, beside what agents say of it: an agent may end its turn as if all were well."""

from __future__ import annotations

import pytest

from gitward.grants.model_calls import Outcome
from gitward_standin.language_model import Fault

from .stage import Theatre

FAILURES = [
    ("codex", Fault.UNAUTHORIZED, 401, "The stand-in does not know this key."),
    ("codex", Fault.TOO_MANY, 429, "The stand-in has been asked too often."),
]


@pytest.mark.parametrize(("name", "fault", "status", "sentence"), FAILURES)
async def test_status_and_sentence_of_a_model_that_fails_are_known(
    theatre: Theatre, name: str, fault: Fault, status: int, sentence: str
) -> None:
    theatre.model.fail(fault)
    async with theatre.stage(name) as stage:
        turn = await stage.turn("Add NOTES.md.")
        tally = stage.calls.tally
        assert not tally.is_answered, str(turn)
        assert tally.answered == 0
        assert tally.last_failure is not None
        assert (tally.last_failure.status, tally.last_failure.error) == (status, sentence)
        assert tally.last_failure.outcome is Outcome.REFUSED


async def test_an_answer_that_is_repeated_after_a_failure_counts(theatre: Theatre) -> None:
    theatre.model.fail(Fault.CUT, times=1)
    async with theatre.stage("codex") as stage:
        turn = await stage.turn("Add NOTES.md.")
        assert turn.stop_reason == "end_turn", str(turn)
        assert stage.calls.tally.is_answered
        assert stage.calls.tally.failed == 1
