"""What the branch changed: a diff to read, a patch to apply."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from gitward.api.auth import Caller
from gitward.api.paths import SessionId
from gitward.api.problems import documented
from gitward.api.services import Served, Services
from gitward.errors import Code, NotFound
from gitward.sessions import artifacts
from gitward.sessions.model import ArtifactKind, Owner

router = APIRouter(prefix="/sessions", tags=["artifacts"])

_PROBLEMS = documented(Code.UNAUTHENTICATED, Code.NOT_FOUND, Code.INVALID_REQUEST, Code.UNAVAILABLE)


class TextResponse(Response):
    """Content that came out of a sandbox: shown as plain text, never guessed to be anything else."""

    media_type = "text/plain"


class MailboxResponse(Response):
    media_type = "application/mbox"


@router.get("/{session_id}/diff", response_class=TextResponse, responses=_PROBLEMS)
async def diff(session_id: SessionId, caller: Caller, served: Served) -> TextResponse:
    """What the branch changed against its target, as `git diff` shows it."""
    content = await _latest(served, caller, session_id, ArtifactKind.DIFF)
    return TextResponse(content, headers={"X-Content-Type-Options": "nosniff"})


@router.get("/{session_id}/patch", response_class=MailboxResponse, responses=_PROBLEMS)
async def patch(session_id: SessionId, caller: Caller, served: Served) -> MailboxResponse:
    """The branch's commits as a mailbox for `git am`; kept also when the push failed or the run was cancelled."""
    content = await _latest(served, caller, session_id, ArtifactKind.PATCH)
    headers = {
        "Content-Disposition": f'attachment; filename="{session_id}.mbox"',
        "X-Content-Type-Options": "nosniff",
    }
    return MailboxResponse(content, headers=headers)


async def _latest(served: Services, owner: Owner, session_id: str, kind: ArtifactKind) -> bytes:
    """The whole of it (10 MiB at most): a client that reads slowly must not hold a connection to the database."""
    async with served.database.snapshot() as tx:
        await served.sessions.get_session(tx, owner, session_id)
        run_id = await artifacts.latest(tx, session_id, kind)
        if run_id is None:
            raise NotFound(f"This session has no {kind}: none of its runs has changed anything yet.")
        return b"".join([piece async for piece in artifacts.read(tx, run_id, kind)])
