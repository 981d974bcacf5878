"""What a step returned is JSON that comes back as it was; of what it raised, nothing is kept."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitward.secrets import Secret
from gitward.workers.checkpoints import Checkpoints, as_task, checkpoint, plain

CANARY = "ghp_0123456789abcdefghijABCDEFGHIJ012345"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(value=json_values)
def test_a_json_value_comes_back_as_it_was(value: Any) -> None:
    wrapped = {"result": value}
    assert plain(wrapped) == wrapped


@pytest.mark.parametrize("error", [ValueError(CANARY), KeyError(CANARY), ExceptionGroup(CANARY, [OSError(CANARY)])])
def test_an_exception_is_no_result(error: Exception) -> None:
    with pytest.raises(TypeError) as raised:
        plain({"result": error})
    assert CANARY not in str(raised.value)


def test_a_tuple_comes_back_as_a_list() -> None:
    """Before a restart as after it."""
    assert plain((1, (2,))) == [1, [2]]


@pytest.mark.parametrize(
    "value", [b"bytes", {1, 2}, object(), datetime.now(UTC), Secret(CANARY), float("nan"), pickle.dumps([1])]
)
def test_what_is_no_json_is_refused_and_not_quoted(value: object) -> None:
    """A secret above all."""
    with pytest.raises((TypeError, ValueError)) as raised:
        plain(value)
    assert CANARY not in str(raised.value)


async def run(known: dict[str, Any], kept: list[Mapping[str, Any]], step: Any) -> Any:
    """The checkpoint `one` of a job; what it returns, and what was kept."""
    results = []

    async def keep(checkpoints: Mapping[str, Any]) -> None:
        kept.append(checkpoints)

    async def job() -> None:
        results.extend([await checkpoint("one", step), await checkpoint("one", step)])

    await as_task(Checkpoints(known, keep), job(), "job")
    assert results[0] == results[1]
    return results[0]


async def test_a_step_is_done_once_and_kept() -> None:
    kept: list[Mapping[str, Any]] = []

    async def step() -> Any:
        return {"facts": (1, 2)}

    assert await run({}, kept, step) == {"facts": [1, 2]}
    assert kept == [{"one": {"facts": [1, 2]}}]


async def test_a_step_that_is_known_is_not_done_again() -> None:
    kept: list[Mapping[str, Any]] = []

    async def step() -> Any:
        raise AssertionError("it was done already")

    assert await run({"one": [3]}, kept, step) == [3]
    assert kept == []


async def test_a_step_that_raises_is_not_kept() -> None:
    kept: list[Mapping[str, Any]] = []

    async def step() -> Any:
        raise ValueError(CANARY)

    with pytest.raises(ValueError, match=CANARY):
        await run({}, kept, step)
    assert kept == []
