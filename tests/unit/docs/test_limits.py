"""docs/api.md states the limits that the code has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

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
    assert told("`submodules`").startswith(f"{FIELDS['submodules']['maxItems']} ")
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
