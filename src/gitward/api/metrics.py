"""The metrics for Prometheus. `api.gate` admits callers from this machine, and operators."""

from __future__ import annotations

from fastapi import APIRouter, Response

from gitward.api.services import Served
from gitward.telemetry.metrics import CONTENT_TYPE

router = APIRouter()


@router.get("/metrics", include_in_schema=False)
async def metrics(served: Served) -> Response:
    """In Prometheus' text format."""
    return Response(await served.metrics(), media_type=CONTENT_TYPE)
