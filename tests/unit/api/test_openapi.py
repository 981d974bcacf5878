"""The description of the API is whole: every route, what it takes, and each way in which it refuses."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from api import problem
from gitward.errors import Code, RequestError

Json = dict[str, Any]


@pytest.fixture
async def schema(stranger: httpx2.AsyncClient) -> Json:
    found: Json = (await stranger.get("/openapi.json")).json()
    return found


def operations(schema: Json) -> dict[str, Json]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    }


def test_every_reference_leads_somewhere(schema: Json) -> None:
    def references(value: object) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [each for child in value.values() for each in references(child)]
        return [each for child in value for each in references(child)] if isinstance(value, list) else []

    found = set(references(schema))
    assert found
    assert {f"#/components/schemas/{name}" for name in schema["components"]["schemas"]} >= found
    assert not {"HTTPValidationError", "ValidationError"} & set(schema["components"]["schemas"])


def test_every_refusal_is_a_problem_document(schema: Json) -> None:
    for name, operation in operations(schema).items():
        for status, answer in operation["responses"].items():
            if status.startswith(("4", "5")) and name != "GET /ready":
                assert answer["content"] == {
                    "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                }, (name, status)


def test_every_route_that_is_not_open_documents_its_refusals(schema: Json) -> None:
    for name, operation in operations(schema).items():
        statuses = set(operation["responses"])
        if name in {"GET /health", "GET /ready"}:
            assert "security" not in operation
            continue
        assert operation["security"] == [{"HTTPBearer": []}], name
        assert "401" in statuses, name
        assert "422" in statuses or name == "GET /agents", name  # it takes nothing that could be wrong
        assert "{" not in name or "404" in statuses, name
        assert name.startswith("GET") or {"409", "413", "503"} <= statuses, name


def test_every_operation_has_its_own_name_and_a_sentence(schema: Json) -> None:
    found = operations(schema)
    assert len({operation["operationId"] for operation in found.values()}) == len(found)
    assert all(operation["description"] for operation in found.values())


def test_a_problem_lists_every_code(schema: Json) -> None:
    assert set(schema["components"]["schemas"]["Code"]["enum"]) == set(Code)


def test_what_is_posted_is_described_with_its_bounds(schema: Json) -> None:
    properties = schema["components"]["schemas"]["SessionIn"]["properties"]
    assert {"repo", "target_branch", "branch", "title", "labels", "environment", "submodules"} <= set(properties)
    assert {"command", "prompt", "agent", "env", "timeout_seconds", "commit_message", "publish"} <= set(properties)
    assert schema["components"]["schemas"]["SessionIn"]["required"] == ["repo"]
    assert properties["labels"]["maxItems"] == 20


async def test_the_page_that_shows_it_is_there(stranger: httpx2.AsyncClient) -> None:
    assert (await stranger.get("/docs")).text.startswith("<!doctype html>")


async def test_a_method_that_is_not_there_is_told_as_a_problem(http: httpx2.AsyncClient) -> None:
    answer = await http.put("/sessions")
    assert problem(answer, 405, "invalid_request")["detail"] == "This method is not allowed here."
    assert answer.headers["allow"]


def test_an_error_without_a_code_of_its_own_is_internal() -> None:
    assert RequestError("x").code is Code.INTERNAL
