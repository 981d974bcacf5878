"""Who the caller is, as this server sees it."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

from fastapi import APIRouter
from pydantic import BaseModel, Field

from gitward.api.auth import Caller, Claims, Expiry
from gitward.api.problems import documented
from gitward.api.services import Served
from gitward.errors import Code
from gitward.identity.authorization import is_operator

router = APIRouter(tags=["me"])


class Role(StrEnum):
    """What a caller may see: operators also the audit log and the metrics. Sessions are their owner's alone."""

    USER = "user"
    OPERATOR = "operator"


class MeOut(BaseModel):
    """The caller."""

    issuer: str
    subject: str
    role: Role = Field(description="`operator`: GITWARD_OPERATORS names the caller.")
    expires_at: datetime = Field(description="When the caller's token expires.")


@router.get("/me", responses=documented(Code.UNAUTHENTICATED, Code.INVALID_REQUEST, Code.UNAVAILABLE))
async def get_me(caller: Caller, claims: Claims, expires_at: Expiry, served: Served) -> MeOut:
    """Who the caller is, and which role they have."""
    role = Role.OPERATOR if is_operator(served.operators, claims) else Role.USER
    until = datetime.fromtimestamp(min(expires_at, datetime.max.timestamp() - 86400), UTC)
    return MeOut(issuer=caller.issuer, subject=caller.subject, role=role, expires_at=until)
