"""Whether the process is alive, and can do its work."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from gitward.api.services import Served

router = APIRouter(tags=["health"])


class Health(BaseModel):
    status: Literal["ok"] = "ok"


class CheckOut(BaseModel):
    name: str
    ok: bool
    detail: str


class Ready(BaseModel):
    ready: bool
    checks: list[CheckOut]


@router.get("/health")
async def health() -> Health:
    """The process answers."""
    return Health()


@router.get("/ready", responses={503: {"model": Ready, "description": "A required part does not work."}})
async def ready(served: Served, response: Response) -> Ready:
    """Whether the service can take work, and the result of each check."""
    checks = [CheckOut(name=check.name, ok=check.ok, detail=check.detail) for check in await served.checks()]
    answer = Ready(ready=all(check.ok for check in checks), checks=checks)
    response.status_code = 200 if answer.ready else 503
    return answer
