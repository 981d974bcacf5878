"""What the branch changed: a diff to read, a patch to apply, a bundle to fetch from."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from gitward.api.auth import Caller
from gitward.api.paths import SessionId
from gitward.api.problems import documented
from gitward.api.services import Served, Services
from gitward.errors import Code, NotFound
from gitward.sessions import artifacts
from gitward.sessions.model import ArtifactKind, Owner
from gitward.store.database import Transaction

router = APIRouter(prefix="/sessions", tags=["artifacts"])

_PROBLEMS = documented(Code.UNAUTHENTICATED, Code.NOT_FOUND, Code.INVALID_REQUEST, Code.UNAVAILABLE)
_BINARY: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}

OfRun = Annotated[str | None, Query(max_length=40, description="Of this run; otherwise of the newest that has one.")]
OfAttempt = Annotated[
    int | None,
    Query(ge=1, le=2**31 - 1, description="Of this attempt, for what a lost one had done; otherwise of the last."),
]


class TextResponse(Response):
    """Content that came out of a sandbox: shown as plain text, never guessed to be anything else."""

    media_type = "text/plain"


class MailboxResponse(Response):
    media_type = "application/mbox"


class BundleResponse(Response):
    """No registered type is a bundle's; this one every client takes for bytes."""

    media_type = "application/octet-stream"


@router.get("/{session_id}/diff", response_class=TextResponse, responses=_PROBLEMS)
async def diff(
    session_id: SessionId, caller: Caller, served: Served, run_id: OfRun = None, attempt: OfAttempt = None
) -> TextResponse:
    """What the branch changed against its target, as `git diff` shows it."""
    content = await _latest(served, caller, session_id, ArtifactKind.DIFF, run_id, attempt)
    return TextResponse(content, headers={"X-Content-Type-Options": "nosniff"})


@router.get("/{session_id}/patch", response_class=MailboxResponse, responses=_PROBLEMS)
async def patch(
    session_id: SessionId, caller: Caller, served: Served, run_id: OfRun = None, attempt: OfAttempt = None
) -> MailboxResponse:
    """The branch's commits as a mailbox for `git am`; kept also when the push failed or the run was cancelled."""
    content = await _latest(served, caller, session_id, ArtifactKind.PATCH, run_id, attempt)
    return MailboxResponse(content, headers=_file(f"{session_id}.mbox"))


@router.get("/{session_id}/bundle", response_class=BundleResponse, responses={**_PROBLEMS, **_BINARY})
async def bundle(
    session_id: SessionId, caller: Caller, served: Served, run_id: OfRun = None, attempt: OfAttempt = None
) -> BundleResponse:
    """The branch's commits as they are, merges and all, for `git fetch`; kept whenever the patch is."""
    content = await _latest(served, caller, session_id, ArtifactKind.BUNDLE, run_id, attempt)
    return BundleResponse(content, headers=_file(f"{session_id}.bundle"))


def _file(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}


async def _latest(
    served: Services, owner: Owner, session_id: str, kind: ArtifactKind, run_id: str | None, attempt: int | None
) -> bytes:
    """The whole of it (10 MiB at most): a client that reads slowly must not hold a connection to the database."""

    def look(tx: Transaction) -> bytes:
        served.sessions.check_owner(tx, owner, session_id)
        origin = artifacts.latest(tx, session_id, kind, run_id=run_id, attempt=attempt)
        if origin is None:
            what = "this run or attempt has" if run_id or attempt else "none of its runs has"
            raise NotFound(f"This session has no {kind}: {what} changed anything yet.")
        return b"".join(artifacts.read(tx, origin, kind))

    return await served.database.read(look)
