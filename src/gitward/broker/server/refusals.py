"""Refusals in a form that users see: gh prints the message of GitHub's JSON, git prints text/plain."""

from __future__ import annotations

import json
from collections.abc import Mapping

from aiohttp.web_response import Response

from gitward.broker.policy.routes import Kind
from gitward.broker.policy.verdict import Verdict
from gitward.errors import PolicyDenied

SERVER = "Gitward"  # the header Server of every answer of our own
_MEDIA_TYPES = {Kind.LFS: "application/vnd.git-lfs+json"}
GIT_RESULT = "application/x-git-receive-pack-result"


class Refused(PolicyDenied):
    """A refusal with a status of its own: elsewhere a malformed request is answered by 400, another one by 403."""

    def __init__(self, rule: str, message: str, *, status: int) -> None:
        super().__init__(rule, message)
        self.status = status


def denied(verdict: Verdict) -> PolicyDenied:
    """To be raised for a no."""
    return PolicyDenied(verdict.rule, verdict.message)


def refusal(kind: Kind, status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """An answer that says no, in the form that the tool on the other side shows."""
    text = f"Gitward: {message}"
    if kind is Kind.GIT:
        return Response(status=status, text=text + "\n", headers=_with_server(headers))
    return Response(
        status=status,
        body=json.dumps({"message": text}).encode(),
        headers=_with_server(
            {"Content-Type": _MEDIA_TYPES.get(kind, "application/json; charset=utf-8"), **(headers or {})}
        ),
    )


def push_refusal(report: bytes) -> Response:
    """A report-status that git prints beside each ref."""
    return Response(
        status=200,
        body=report,
        content_type=GIT_RESULT,
        headers=_with_server({"Cache-Control": "no-cache"}),
    )


def _with_server(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {"Server": SERVER, **(headers or {})}
