"""The HTTP application."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from gitward import __version__
from gitward.api import artifacts, events, health, problems, sessions
from gitward.api.gate import Gate
from gitward.api.services import Services

_SUMMARY = "Background work on GitHub repositories, in a sandbox that never sees the token."


def create_app(services: Services) -> FastAPI:
    """The application over its services; it opens and closes nothing itself."""
    app = FastAPI(
        title="Gitward",
        version=__version__,
        summary=_SUMMARY,
        redoc_url=None,
        generate_unique_id_function=_operation_id,
        redirect_slashes=False,
    )
    app.state.services = services
    for module in (health, sessions, events, artifacts):
        app.include_router(module.router)
    problems.install(app)
    app.add_middleware(Gate, verifier=services.verifier)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's documented way to extend it
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        components = schema["components"]["schemas"]
        problem = problems.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        components.update(problem.pop("$defs", {}))
        components["Problem"] = problem
        for unused in ("HTTPValidationError", "ValidationError"):  # we answer with problem documents
            components.pop(unused, None)
        app.openapi_schema = schema
    return app.openapi_schema
