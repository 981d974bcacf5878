"""Refusals in the form that lands: gh prints the message of GitHub's JSON, git prints text/plain."""

from __future__ import annotations

import json
from collections.abc import Mapping

from aiohttp.web_response import Response

from gitward.broker.routes import Kind

DOCUMENTATION_URL = "https://github.com/gitward/gitward#what-a-session-may-do"
GIT_RESULT = "application/x-git-receive-pack-result"


def refusal(kind: Kind, status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """An answer that says no, in the form that the tool on the other side shows."""
    text = f"Gitward: {message}"
    if kind is Kind.GIT:
        return Response(status=status, text=text + "\n", headers=_with_server(headers))
    body = json.dumps({"message": text, "documentation_url": DOCUMENTATION_URL})
    return Response(
        status=status,
        body=body.encode(),
        content_type="application/json",
        charset="utf-8",
        headers=_with_server(headers),
    )


def lfs_refusal(status: int, message: str) -> Response:
    """Git LFS reads `message` of its own media type."""
    body = json.dumps({"message": f"Gitward: {message}", "documentation_url": DOCUMENTATION_URL})
    return Response(
        status=status,
        body=body.encode(),
        content_type="application/vnd.git-lfs+json",
        headers=_with_server(None),
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
    return {"Server": "Gitward", **(headers or {})}
