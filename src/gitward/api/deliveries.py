"""What was sent to a session's webhooks, and what came of it."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from gitward.api.auth import Caller
from gitward.api.paths import SessionId
from gitward.api.problems import documented
from gitward.api.services import Served
from gitward.errors import Code
from gitward.sessions import webhooks
from gitward.sessions.webhook_targets import host_of
from gitward.sessions.webhooks import OF_SESSION, Delivery, DeliveryState, MessageType
from gitward.store.database import Transaction

router = APIRouter(prefix="/sessions", tags=["webhooks"])

_PROBLEMS = documented(Code.UNAUTHENTICATED, Code.NOT_FOUND, Code.INVALID_REQUEST, Code.UNAVAILABLE)


class DeliveryOut(BaseModel):
    """One message to one target."""

    id: str = Field(description="`webhook-id`, the same for each try.")
    type: MessageType
    run_id: str | None
    at: datetime
    target: str = Field(description="The host of the session's callback, or the name of one of the server's webhooks.")
    state: DeliveryState
    tries: int
    next_at: datetime | None = Field(description="Of a pending one: not before this moment.")
    ended_at: datetime | None
    status: int | None = Field(description="Of the last answer.")
    problem: str | None = Field(description="Why the last try failed.")


class DeliveryPage(BaseModel):
    items: list[DeliveryOut]


@router.get("/{session_id}/deliveries", response_model=DeliveryPage, responses=_PROBLEMS)
async def deliveries(session_id: SessionId, caller: Caller, served: Served) -> Response:
    """The latest 200, the newest first."""

    def look(tx: Transaction) -> bytes:
        served.sessions.get_session(tx, caller, session_id)
        page = DeliveryPage(items=[_out(delivery, url) for delivery, url in webhooks.listed(tx, session_id)])
        return page.model_dump_json().encode()

    return Response(await served.database.read(look), media_type="application/json")


def _out(delivery: Delivery, url: str | None) -> DeliveryOut:
    pending = delivery.state is DeliveryState.PENDING
    return DeliveryOut(
        id=delivery.id,
        type=delivery.type,
        run_id=delivery.run_id,
        at=delivery.at,
        target=host_of(url) if delivery.target == OF_SESSION and url else delivery.target,
        state=delivery.state,
        tries=delivery.tries,
        next_at=delivery.next_at if pending else None,
        ended_at=delivery.ended_at,
        status=delivery.status,
        problem=delivery.problem,
    )
