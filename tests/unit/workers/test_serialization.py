"""What DBOS stores is JSON that comes back as it was; of an exception nothing but its kind."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitward.secrets import Secret
from gitward.workers.serialization import JsonSerializer, StepError

SERIALIZER = JsonSerializer()
CANARY = "ghp_0123456789abcdefghijABCDEFGHIJ012345"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.just("$error"), inner, max_size=4),
    max_leaves=10,
)


@given(value=json_values)
def test_a_json_value_comes_back_as_it_was(value: Any) -> None:
    """Also one that holds what stands for an exception, further down."""
    wrapped = {"result": value}
    assert SERIALIZER.deserialize(SERIALIZER.serialize(wrapped)) == wrapped


@given(value=json_values)
def test_what_is_stored_is_ascii_json(value: Any) -> None:
    """No database has trouble with it."""
    stored = SERIALIZER.serialize([value])
    assert stored.isascii()
    assert "\0" not in stored
    assert json.loads(stored) == [value]


@pytest.mark.parametrize("error", [ValueError(CANARY), KeyError(CANARY), ExceptionGroup(CANARY, [OSError(CANARY)])])
def test_an_exception_is_stored_by_its_kind_only(error: Exception) -> None:
    stored = SERIALIZER.serialize(error)
    assert CANARY not in stored
    back = SERIALIZER.deserialize(stored)
    assert isinstance(back, StepError)
    assert str(back) == type(error).__name__


def test_a_tuple_comes_back_as_a_list() -> None:
    assert SERIALIZER.deserialize(SERIALIZER.serialize((1, (2,)))) == [1, [2]]


@pytest.mark.parametrize(
    "value", [b"bytes", {1, 2}, object(), datetime.now(UTC), Secret(CANARY), float("nan"), {"$error": "ValueError"}]
)
def test_what_is_no_json_is_refused_and_not_quoted(value: object) -> None:
    """A secret above all."""
    with pytest.raises((TypeError, ValueError)) as raised:
        SERIALIZER.serialize(value)
    assert CANARY not in str(raised.value)


def test_a_pickle_is_not_loaded() -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        SERIALIZER.deserialize(pickle.dumps([1], protocol=0).decode())
