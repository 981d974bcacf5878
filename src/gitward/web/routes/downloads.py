"""What is kept of a session's work, as files."""

from __future__ import annotations

from enum import StrEnum

from fastapi import APIRouter
from fastapi.responses import Response

from gitward.errors import NotFound
from gitward.sessions import artifacts
from gitward.sessions.model import ArtifactKind
from gitward.store.database import Transaction
from gitward.web.services import Served
from gitward.web.signing_in import SignedIn

router = APIRouter(prefix="/s")


class Kept(StrEnum):
    """The name of a file, by which it is asked for."""

    PATCH = "patch"
    BUNDLE = "bundle"
    DIFF = "diff"
    SUBMODULES = "submodules"


_ENDINGS = {Kept.PATCH: "mbox", Kept.BUNDLE: "bundle", Kept.DIFF: "diff", Kept.SUBMODULES: "submodules.bundle"}


@router.get("/{session_id}/kept/{kept}")
async def download(session_id: str, kept: Kept, person: SignedIn, served: Served, run: str | None = None) -> Response:
    """Of one run, or of the newest that has it; always a file, never shown."""

    def look(tx: Transaction) -> bytes | None:
        served.sessions.check_owner(tx, person.owner, session_id)
        kind = ArtifactKind(kept.value)
        origin = artifacts.latest(tx, session_id, kind, run_id=run)
        return None if origin is None else artifacts.content(tx, origin, kind)

    content = await served.database.read(look)
    if content is None:
        raise NotFound("Nothing of this kind is kept of this run.")
    headers = {"Content-Disposition": f'attachment; filename="{session_id}.{_ENDINGS[kept]}"'}
    return Response(content, media_type="application/octet-stream", headers=headers)
