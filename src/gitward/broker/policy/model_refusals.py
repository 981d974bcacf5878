"""Refusals of model requests as each provider words its own, so that agents show the sentence."""

from __future__ import annotations

from typing import Any

from gitward.errors import PolicyDenied
from gitward.grants.model_calls import Api

FORBIDDEN = 403  # for good: agents ask again for minutes after 429 and 5xx
TOO_MANY = 429
_ANTHROPIC = {FORBIDDEN: "permission_error", TOO_MANY: "rate_limit_error"}
_OPENAI = {FORBIDDEN: "insufficient_quota", TOO_MANY: "rate_limit_exceeded"}
_GEMINI = {FORBIDDEN: "PERMISSION_DENIED", TOO_MANY: "RESOURCE_EXHAUSTED"}


class ModelRefused(PolicyDenied):
    """No request to a model begins."""

    def __init__(self, rule: str, message: str, *, status: int) -> None:
        super().__init__(rule, message)
        self.status = status


def body(api: Api, refused: ModelRefused) -> dict[str, Any]:
    """The answer's document."""
    message = f"Gitward: {refused.message}"
    if api is Api.MESSAGES:
        return {"type": "error", "error": {"type": _ANTHROPIC[refused.status], "message": message}}
    if api is Api.GEMINI:
        return {"error": {"code": refused.status, "message": message, "status": _GEMINI[refused.status]}}
    code = _OPENAI[refused.status]
    return {"error": {"message": message, "type": code, "param": None, "code": code}}
