"""Each type of event is described; `Client.finished` of the acceptance tests compares what is really sent."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from api import make_api
from described import check
from gitward.sessions.model import EventType
from tests_support import Backend

RETRYING = {"step": "publish", "cause": "GitHub is away", "seconds": 2.0, "try": 1}
EVENT: dict[str, Any] = {"seq": 3, "at": "2026-01-01T00:00:00Z", "run_id": "run_1", "type": "step.retrying"}


async def test_every_type_of_event_has_a_shape_of_its_own(backend: Backend) -> None:
    async with make_api(backend).client() as client:
        schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    union = schemas["EventOut"]
    mapping = union["discriminator"]["mapping"]
    assert union["discriminator"]["propertyName"] == "type"
    assert set(mapping) == {each.value for each in EventType}
    assert sorted(mapping.values()) == sorted(each["$ref"] for each in union["oneOf"])
    for kind, reference in mapping.items():
        assert schemas[reference.rpartition("/")[2]]["properties"]["type"]["const"] == kind


async def test_the_stream_is_described_as_such_a_union_and_what_is_downloaded_as_bytes(backend: Backend) -> None:
    async with make_api(backend).client() as client:
        paths = (await client.get("/openapi.json")).json()["paths"]

    def content(path: str) -> dict[str, Any]:
        found: dict[str, Any] = paths[f"/sessions/{{session_id}}/{path}"]["get"]["responses"]["200"]["content"]
        return found

    assert content("events/stream") == {"text/event-stream": {"schema": {"$ref": "#/components/schemas/EventOut"}}}
    binary = {"schema": {"type": "string", "format": "binary"}}
    assert content("patch") == {"application/mbox": binary}
    assert content("bundle") == {"application/octet-stream": binary}
    assert content("diff") == {"text/plain": {"schema": {"type": "string"}}}


def test_an_event_that_is_described_passes() -> None:
    check({**EVENT, "data": RETRYING})


@pytest.mark.parametrize("data", [{}, {**RETRYING, "more": 1}, {**RETRYING, "step": "unknown"}])
def test_an_event_that_is_not_as_described_does_not_pass(data: dict[str, Any]) -> None:
    with pytest.raises((ValidationError, AssertionError)):
        check({**EVENT, "data": data})
