"""The HTTP application."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.routing import APIRoute

from gitward import __version__
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
    openapi,
    problems,
    reference,
    schedules,
    sessions,
)
from gitward.api.request_gate import RequestGate
from gitward.api.services import Services


def create_app(services: Services) -> FastAPI:
    """The application over its services; it opens and closes nothing itself."""
    app = FastAPI(
        title="Gitward",
        version=__version__,
        summary=openapi.SUMMARY,
        openapi_url=None,  # and so no page of FastAPI's, which loads its script from elsewhere; see `reference`
        generate_unique_id_function=_operation_id,
        redirect_slashes=False,
    )
    app.state.services = services
    app.state.reference = reference.Reference(app)
    for module in (
        *(health, metrics, me, sessions, schedules, agents, environments, events, artifacts, deliveries, audit_log),
        reference,
    ):
        app.include_router(module.router)
    problems.install(app)
    app.add_middleware(
        RequestGate, verifier=services.verifier, operators=services.operators, is_proxied=services.is_proxied
    )
    openapi.install(app)
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name
