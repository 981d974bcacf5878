"""docs/api.md has every call, every problem code, every reason and every type of event."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from gitward.api import (
    agents,
    artifacts,
    audit_log,
    deliveries,
    environments,
    events,
    health,
    me,
    metrics,
    schedules,
    sessions,
)
from gitward.errors import HTTP_STATUS, Code, Reason
from gitward.sessions.model import EventType

PAGE = (Path(__file__).parents[3] / "docs" / "api.md").read_text()
MODULES = (agents, artifacts, audit_log, deliveries, environments, events, health, me, metrics, schedules, sessions)
ROUTERS = [value for module in MODULES for value in vars(module).values() if isinstance(value, APIRouter)]
PATHS = sorted({route.path for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)})


def shown(path: str) -> str:
    """As the page writes it: {id} for the session's or the schedule's."""
    return re.sub(r"\{(session|schedule)_id\}", "{id}", path)


def test_there_are_calls_to_look_for() -> None:
    assert len(PATHS) > 20


@pytest.mark.parametrize("path", PATHS)
def test_each_call_is_there(path: str) -> None:
    last = shown(path).rpartition("/")[2]
    assert shown(path) in PAGE or f"`/{last}`" in PAGE or f"…/{last}" in PAGE


@pytest.mark.parametrize("code", list(Code))
def test_each_problem_code_is_there_with_its_status(code: Code) -> None:
    assert re.search(rf"^\| `{code}` \| {HTTP_STATUS[code]}", PAGE, re.MULTILINE)


@pytest.mark.parametrize("name", [*Reason, *EventType])
def test_each_reason_and_each_type_of_event_is_there(name: str) -> None:
    assert f"`{name}`" in PAGE
