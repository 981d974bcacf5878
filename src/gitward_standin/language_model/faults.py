"""The ways in which providers fail, and how each of them says it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from gitward_standin.language_model.questions import Api


class Fault(StrEnum):
    """What happens instead of an answer."""

    UNAUTHORIZED = "unauthorized"  # 401
    TOO_MANY = "too_many"  # 429
    BROKEN = "broken"  # 500
    HANG = "hang"  # takes the request and never answers
    STALL = "stall"  # begins a stream and says nothing more
    CUT = "cut"  # begins a stream and breaks off
    LATE_ERROR = "late_error"  # begins a stream and says in it that it failed

    @property
    def status(self) -> int:
        """Of the answer; 200 where the failure comes later."""
        return _STATUS.get(self, 200)


_STATUS = {Fault.UNAUTHORIZED: 401, Fault.TOO_MANY: 429, Fault.BROKEN: 500}
SENTENCES = {
    Fault.UNAUTHORIZED: "The stand-in does not know this key.",
    Fault.TOO_MANY: "The stand-in has been asked too often.",
    Fault.BROKEN: "The stand-in is broken.",
    Fault.LATE_ERROR: "The stand-in is overloaded.",
}
_ANTHROPIC = {
    Fault.UNAUTHORIZED: "authentication_error",
    Fault.TOO_MANY: "rate_limit_error",
    Fault.BROKEN: "api_error",
    Fault.LATE_ERROR: "overloaded_error",
}
_GEMINI = {
    Fault.UNAUTHORIZED: "UNAUTHENTICATED",
    Fault.TOO_MANY: "RESOURCE_EXHAUSTED",
    Fault.BROKEN: "INTERNAL",
    Fault.LATE_ERROR: "UNAVAILABLE",
}
_OPENAI = {
    Fault.UNAUTHORIZED: "invalid_request_error",
    Fault.TOO_MANY: "rate_limit_exceeded",
    Fault.BROKEN: "server_error",
    Fault.LATE_ERROR: "server_error",
}


def error(api: Api, fault: Fault) -> dict[str, Any]:
    """The body, or the event, that says it."""
    sentence = SENTENCES[fault]
    if api is Api.MESSAGES:
        return {"type": "error", "error": {"type": _ANTHROPIC[fault], "message": sentence}}
    if api is Api.GEMINI:
        return {"error": {"code": fault.status, "message": sentence, "status": _GEMINI[fault]}}
    return {"error": {"message": sentence, "type": _OPENAI[fault], "param": None, "code": _OPENAI[fault]}}


def late_error(api: Api, fault: Fault) -> tuple[str | None, dict[str, Any]]:
    """The event's name, and the event."""
    if api is Api.RESPONSES:
        said = {"code": _OPENAI[fault], "message": SENTENCES[fault]}
        response = {"id": "resp_0", "object": "response", "status": "failed", "error": said, "output": []}
        return "response.failed", {"type": "response.failed", "sequence_number": 99, "response": response}
    return ("error" if api is Api.MESSAGES else None), error(api, fault)
