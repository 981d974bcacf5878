"""What Schemathesis must know about Gitward beyond its description. Loaded by Schemathesis' own Python."""

from __future__ import annotations

import json
import secrets
from typing import Any

import jsonschema_rs  # type: ignore[import-not-found]  # lives in .tools/contract
import schemathesis  # type: ignore[import-not-found]  # the same

SCHEMA_VALID_REQUEST_REJECTED, EVENT_VIOLATES_SCHEMA = "ST202", "ST108"
STREAM, NO_RUN = "/sessions/{session_id}/events/stream", "run_0000000000000000"
# Rules that JSON Schema cannot say. A value that its schema allows may be refused with what begins so.
BEYOND_SCHEMAS = (
    "must be the `next` of an earlier answer",
    "must be the id of an event",
    "must not be the target branch",
    "must have five fields",
    "must be a cron expression",
    "must be a time zone",
    "must come at least once",
    "must be one line of printable characters",
    "must not be blank",
    "must be one of host",  # an environment: the service under test has one
    "must not contain NUL",
    "must be at most 65536 bytes long in UTF-8",
    "a value must be at most 65536 bytes long in UTF-8, without NUL",
)


def before_load_schema(context: Any, raw_schema: dict[str, Any]) -> None:
    """No agent is configured in the service under test: without this, half of all instructions would be refused."""
    for name in ("InstructionIn", "SessionIn", "ScheduleIn"):
        properties = raw_schema["components"]["schemas"][name]["properties"]
        del properties["prompt"], properties["agent"], properties["model"], properties["budget"]
    # The service under test allows no callback.
    properties = raw_schema["components"]["schemas"]["SessionIn"]["properties"]
    del properties["callback_url"], properties["callback_secret"], properties["callback_format"]


def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Makes keys that are right unique: a key that comes again with another body is refused, as it should be."""
    key = case.headers.get("Idempotency-Key")
    if isinstance(key, str) and 0 < len(key) <= 200:
        case.headers["Idempotency-Key"] = key + secrets.token_hex(8)
    if case.operation.path == STREAM and case.query is not None:
        case.query.setdefault("run_id", NO_RUN)  # without a run a stream goes on for as long as its client listens


def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Whether it is one: not where the sentence of the refusal names a rule that no schema can say.

    A stream's schema is that of what each `data` is, as generators of clients take it; Schemathesis takes it for that
    of the frame around it.
    """
    if failure.code == EVENT_VIOLATES_SCHEMA:
        return not _is_described(case.operation.schema.raw_schema["components"], response.content.decode())
    if failure.code != SCHEMA_VALID_REQUEST_REJECTED:
        return True
    errors = json.loads(response.content)["errors"]
    return not errors or any(not error["message"].startswith(BEYOND_SCHEMAS) for error in errors)


def _is_described(components: dict[str, Any], stream: str) -> bool:
    """Whether the data of each event is."""
    described = jsonschema_rs.Draft202012Validator({"$ref": "#/components/schemas/EventOut", "components": components})
    data = [line.removeprefix("data: ") for line in stream.split("\n") if line.startswith("data: ")]
    return bool(data) and all(described.is_valid(json.loads(each)) for each in data)


for hook in (before_load_schema, before_call, filter_failure):
    schemathesis.hook(hook)
