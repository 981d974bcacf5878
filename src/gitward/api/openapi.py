"""The description of the API (OpenAPI 3.1): what FastAPI reads from the routes, and what it cannot know."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gitward.api.problems import Problem

SUMMARY = "Background work on GitHub repositories, in a sandbox that never sees the token."
_DESCRIPTION = """\
Post a *session* (a repository, a target branch, and what to do). A background *run* checks the repository out in a
sandbox, runs the command, pushes a branch and opens a pull request; follow it by the session's *events*.

Every call except `/health` and `/ready` needs `Authorization: Bearer <jwt>`. Every refusal is a problem document
(RFC 9457) with a stable `code`. Another owner's objects are 404.
"""
_TAGS = {
    "health": "Whether the service is alive, and can work.",
    "me": "Who the caller is.",
    "sessions": "Sessions and their runs.",
    "agents": "The agents that take prompts.",
    "environments": "Images whose tools setup and instruction find in place of the host's.",
    "schedules": "Schedules create sessions repeatedly.",
    "events": "What happened in a session, in order; as pages or as a live stream.",
    "artifacts": "What a session's branch changed.",
    "webhooks": "What Gitward sent to webhooks, and whether it arrived.",
    "audit log": "Who did what, for operators.",
}
# Where the ids are in the answers that create something.
_IDS = {
    "SessionOut": {"session_id": "id", "run_id": "runs/0/id"},
    "RunOut": {"session_id": "session_id", "run_id": "id"},
    "ScheduleOut": {"schedule_id": "id"},
}


def install(app: FastAPI) -> None:
    """Serves our description instead of FastAPI's own. Made at the first request, when all routes are there."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=SUMMARY,
        description=_DESCRIPTION,
        contact={"name": "Gitward's maintainers"},
        servers=[{"url": "/", "description": "This server."}],
        tags=[{"name": name, "description": text} for name, text in _TAGS.items()],
        routes=app.routes,
    )
    schemas = document["components"]["schemas"]
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    for unused in ("HTTPValidationError", "ValidationError"):  # we answer with problem documents
        schemas.pop(unused, None)
    _link(document["paths"])
    _describe_stream(document["paths"])
    return document


def _describe_stream(paths: dict[str, dict[str, Any]]) -> None:
    """OpenAPI 3.1 has no word for the items of a stream; generators take the schema for what each `data` is."""
    answer = paths["/sessions/{session_id}/events/stream"]["get"]["responses"]["200"]
    answer["description"] = "A stream of server-sent events. With `run_id` it ends with that run."
    answer["content"] = {"text/event-stream": {"schema": {"$ref": "#/components/schemas/EventOut"}}}


def _link(paths: dict[str, dict[str, Any]]) -> None:
    """Says where one can go from what was created: the ids in the answer are the parameters of the other calls."""
    targets = {
        operation["operationId"]: path
        for path, methods in paths.items()
        for operation in methods.values()
        if "{" in path
    }
    for methods in paths.values():
        for operation in methods.values():
            answer = operation["responses"].get("201")
            if answer is not None:
                shape = answer["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
                answer["links"] = {
                    name: {"operationId": name, "parameters": parameters}
                    for name, path in targets.items()
                    if (parameters := _parameters(path, _IDS[shape]))
                }


def _parameters(path: str, ids: dict[str, str]) -> dict[str, str]:
    return {name: f"$response.body#/{pointer}" for name, pointer in ids.items() if f"{{{name}}}" in path}
