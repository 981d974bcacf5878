"""Authentication of the API's routes: the gate has checked the bearer token, and the routes ask who it was.

FastAPI runs a dependency that is no coroutine in a thread: that takes longer than all that these do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from gitward.errors import Unauthenticated
from gitward.sessions.model import Owner

_scheme = HTTPBearer(
    bearerFormat="JWT",
    auto_error=False,
    description="A JWT of an issuer that the server trusts; without issuers `gitward token` mints one.",
)


async def _caller(request: Request, _: Annotated[object, Depends(_scheme)]) -> Owner:
    """The gate has authenticated the request before it came here; a route outside the gate fails closed."""
    owner = request.scope.get("gitward.owner")
    if not isinstance(owner, Owner):
        raise Unauthenticated("A bearer token is required: send `Authorization: Bearer <jwt>`.")
    return owner


async def _claims(request: Request) -> Mapping[str, Any]:
    claims = request.scope.get("gitward.claims")
    return claims if isinstance(claims, Mapping) else {}


async def _expiry(request: Request) -> float:
    """When the caller's token expires, in seconds since 1970; a route outside the gate fails closed."""
    expires_at = request.scope.get("gitward.expires_at")
    return expires_at if isinstance(expires_at, float) else 0.0


Caller = Annotated[Owner, Depends(_caller)]
Expiry = Annotated[float, Depends(_expiry)]
Claims = Annotated[Mapping[str, Any], Depends(_claims)]
