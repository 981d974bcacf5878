"""Which environment a run may have: one that the operator allows, and that is there."""

from __future__ import annotations

import asyncio

from gitward.api.services import Services
from gitward.environments.catalogue import HOST
from gitward.errors import FieldError, InvalidRequest


async def chosen_environment(served: Services, name: str | None) -> str:
    """Of a new session. Raises InvalidRequest."""
    name = name or served.environments.default
    if name == HOST:  # has no folder: nothing here blocks
        return check_environment(served, name)
    return await asyncio.to_thread(check_environment, served, name)


def check_environment(served: Services, name: str) -> str:
    """Blocks shortly: it looks at a folder. Raises InvalidRequest, saying which there are."""
    refusal = served.environments.refusal(name, here=not served.agents_elsewhere)
    if refusal is not None:
        raise InvalidRequest(
            "This environment cannot be used.", errors=[FieldError(field="environment", message=refusal)]
        )
    return name
