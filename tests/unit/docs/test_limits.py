"""docs/api.md states the limits that the code has."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from fastapi.openapi.utils import get_openapi

import gitward.api
from gitward.api import problems, request_gate
from gitward.api.audit_log import list_audit_log
from gitward.api.field_types import MAX_BYTES
from gitward.api.request_shapes import InstructionIn, PublishIn, SessionIn
from gitward.api.sessions import Key, list_sessions
from gitward.identity import verifier
from gitward.sessions.schedules import MOST

PAGE = Path(__file__).parents[3] / "docs" / "api.md"
SCHEMA = SessionIn.model_json_schema()
FIELDS = SCHEMA["properties"]
PUBLISH = PublishIn.model_json_schema()["properties"]

MAXIMA = ("maxLength", "maxItems", "maxProperties", "maximum", "exclusiveMaximum")


def bodies() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The schema of each request body of the API, with those that it refers to."""
    names = [f"gitward.api.{each.name}" for each in pkgutil.iter_modules(gitward.api.__path__)]
    routers = [router for name in names if (router := getattr(importlib.import_module(name), "router", None))]
    routes = [route for router in routers for route in router.routes]
    document = get_openapi(title="", version="", routes=routes)
    for path in document["paths"].values():
        for call in path.values():
            for content in call.get("requestBody", {}).get("content", {}).values():
                yield content["schema"], document["components"]["schemas"]


def limits(schema: dict[str, Any], others: dict[str, Any], field: str = "") -> Iterator[tuple[str, int]]:
    """Each field, as `publish.title`, with each limit that it or what it consists of has."""
    if "$ref" in schema:
        schema = others[schema["$ref"].rpartition("/")[2]]
    yield from ((field, int(schema[maximum])) for maximum in MAXIMA if maximum in schema)
    parts = [*schema.get("anyOf", ()), *schema.get("allOf", ()), *schema.get("oneOf", ())]
    parts += [schema[name] for name in ("items", "additionalProperties", "propertyNames") if name in schema]
    for part in parts:
        if isinstance(part, dict):
            yield from limits(part, others, field)
    for name, inner in schema.get("properties", {}).items():
        yield from limits(inner, others, f"{field}.{name}".strip("."))


LIMITS = sorted({limit for schema, others in bodies() for limit in limits(schema, others)})


def tells(page: str, field: str, limit: int) -> bool:
    """Whether a row for the field, or for what it is part of, has the number."""
    above, _, name = field.rpartition(".")
    for line in page.partition("\n## Limits\n")[2].partition("\n## ")[0].splitlines():
        names, _, cell = re.sub(r"(?<=\d),(?=\d)", "", line).removeprefix("| ").partition(" | ")
        named, numbers = set(re.findall(r"`([^`]+)`", names)), re.findall(r"\d+", cell)
        if (named & {field, name} and str(limit) in numbers) or (above in named and f"{limit} `{name}`" in cell):
            return True
    return False


@pytest.mark.parametrize(("field", "limit"), LIMITS)
def test_each_limit_of_a_body_has_a_row(field: str, limit: int) -> None:
    assert tells(PAGE.read_text(), field, limit), f"docs/api.md has no row for {field}: {limit} at most"


def test_a_limit_without_a_row_is_found() -> None:
    assert {("budget.tokens", 10**15), ("schedule", 100), ("submodules", 200), ("publish.reviewers", 15)} <= set(LIMITS)
    rows = "\n## Limits\n| `title` | 256 characters |\n| `budget` | 1,000 `usd`, 10 `seconds` |\n"
    assert tells(rows, "publish.title", 256)
    assert tells(rows, "budget.usd", 1000)
    assert not tells(rows, "title", 25)
    assert not tells(rows, "budget.usd", 10)
    assert not tells(rows, "timezone", 256)


def told(row: str) -> str:
    """The second cell of the table's row, without the commas of long numbers."""
    section = PAGE.read_text().partition("\n## Limits\n")[2]
    cells = next(line for line in section.splitlines() if line.startswith(f"| {row}")).split(" | ")
    return re.sub(r"(\d),(\d)", r"\1\2", cells[1])


def of(field: dict[str, object]) -> dict[str, object]:
    """Without the alternative null."""
    options = field.get("anyOf")
    return options[0] if isinstance(options, list) else field


def test_a_body() -> None:
    assert request_gate.MAX_BODY == 2**20
    gate = request_gate
    numbers = f"1 MiB, {gate.BODY_SECONDS:g} seconds to arrive, {gate.MAX_DEPTH} levels, {gate.MAX_VALUES} values"
    assert numbers in told("a body")


def test_names_and_lines() -> None:
    for name in ("repo", "branch", "target_branch"):
        assert f"{of(FIELDS[name])['maxLength']} characters" in told("`repo`, `branch`, `target_branch`")
    for fields in (FIELDS, PUBLISH):
        assert f"{of(fields['title'])['maxLength']} characters" in told("`title`")
        items = fields["labels"]["items"]
        assert told("`labels`").startswith(f"{fields['labels']['maxItems']}, of {items['maxLength']} characters")


def test_lists() -> None:
    addresses = FIELDS["submodules"]
    assert told("`submodules`").startswith(f"{addresses['maxItems']}, of {addresses['items']['maxLength']} ")
    reviewers = PUBLISH["reviewers"]
    assert told("`publish.reviewers`").startswith(f"{reviewers['maxItems']}, of {reviewers['items']['maxLength']} ")


def test_texts() -> None:
    texts = told("`command`, `prompt`, `setup`, `commit_message`, `publish.body`")
    assert texts.startswith(f"{MAX_BYTES} bytes")
    lengths = [of(FIELDS[name])["maxLength"] for name in ("callback_url", "callback_secret")]
    assert told("`callback_url`, `callback_secret`") == "{} characters, {} characters |".format(*lengths)
    assert f"{FIELDS['env']['maxProperties']} variables; a name has 128 characters, a value {MAX_BYTES} bytes" in told(
        "`env`"
    )
    seconds = of(InstructionIn.model_json_schema()["properties"]["timeout_seconds"])["maximum"]
    assert told("`timeout_seconds`").startswith(f"{seconds} ")


def test_the_rest() -> None:
    assert "max_length=255" in repr(get_args(Key)[1].metadata)
    assert told("`Idempotency-Key`").startswith("255 characters")
    assert "le=200" in repr(list_sessions.__annotations__["limit"])
    assert told("`limit` of a page").startswith("200 ")
    assert "le=500" in repr(list_audit_log.__annotations__["limit"])
    assert told("`limit` of the audit log").startswith("500 ")
    assert told("schedules of a user").startswith(f"{MOST} ")
    assert told("`sub` of a JWT").startswith(f"{verifier.MAX_SUBJECT} ")
    assert told("rejected values").startswith(f"{problems.MAX_ERRORS} ")
