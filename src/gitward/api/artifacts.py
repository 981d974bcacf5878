"""What the branch changed: a diff to read, a patch to apply, a bundle to fetch from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from gitward.api.auth import Caller
from gitward.api.paths import SessionId
from gitward.api.problems import documented
from gitward.api.services import Served, Services
from gitward.errors import Code, NotFound
from gitward.sessions import artifacts
from gitward.sessions.model import RUN_KINDS, ArtifactKind, Owner
from gitward.store.database import Transaction

router = APIRouter(prefix="/sessions", tags=["artifacts"])

_PROBLEMS = documented(Code.UNAUTHENTICATED, Code.NOT_FOUND, Code.INVALID_REQUEST, Code.UNAVAILABLE)


def _binary(media_type: str) -> dict[int | str, dict[str, Any]]:
    """Bytes, which every client hands out as such: a patch need not be UTF-8."""
    return {200: {"content": {media_type: {"schema": {"type": "string", "format": "binary"}}}}}


class Base(StrEnum):
    """What a change is compared with."""

    RUN = "run"
    TARGET = "target"


class Part(StrEnum):
    """Of which repository a bundle is."""

    BRANCH = "branch"
    SUBMODULES = "submodules"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Whose artifact is asked for."""

    run_id: str | None
    attempt: int | None
    base: Base


async def _wanted(
    run_id: Annotated[
        str | None, Query(max_length=40, description="Of this run; by default of the newest run that has one.")
    ] = None,
    attempt: Annotated[
        int | None,
        Query(ge=1, le=2**31 - 1, description="Of this attempt, such as a lost one; by default of the last."),
    ] = None,
    base: Annotated[
        Base,
        Query(
            description="`target`: everything that the branch has beyond its target. `run`: only that run's own change."
        ),
    ] = Base.TARGET,
) -> Wanted:
    return Wanted(run_id=run_id, attempt=attempt, base=base)


Asked = Annotated[Wanted, Depends(_wanted)]
OfPart = Annotated[
    Part,
    Query(description="`submodules`: commits made inside submodules; `base` does not apply."),
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
async def diff(session_id: SessionId, caller: Caller, served: Served, asked: Asked) -> TextResponse:
    """What the branch, or one run, changed, as `git diff` shows it."""
    content = await _latest(served, caller, session_id, ArtifactKind.DIFF, asked)
    return TextResponse(content, headers={"X-Content-Type-Options": "nosniff"})


@router.get(
    "/{session_id}/patch", response_class=MailboxResponse, responses={**_PROBLEMS, **_binary("application/mbox")}
)
async def patch(session_id: SessionId, caller: Caller, served: Served, asked: Asked) -> MailboxResponse:
    """The commits as a mailbox for `git am`; also kept when the push failed or the run was cancelled."""
    content = await _latest(served, caller, session_id, ArtifactKind.PATCH, asked)
    return MailboxResponse(content, headers=_file(f"{session_id}.mbox"))


@router.get(
    "/{session_id}/bundle",
    response_class=BundleResponse,
    responses={**_PROBLEMS, **_binary("application/octet-stream")},
)
async def bundle(
    session_id: SessionId, caller: Caller, served: Served, asked: Asked, of: OfPart = Part.BRANCH
) -> BundleResponse:
    """The unchanged commits, with merges, for `git fetch`; kept whenever the patch is."""
    kind = ArtifactKind.SUBMODULES if of is Part.SUBMODULES else ArtifactKind.BUNDLE
    content = await _latest(served, caller, session_id, kind, asked)
    return BundleResponse(content, headers=_file(f"{session_id}.bundle"))


def _file(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}


async def _latest(served: Services, owner: Owner, session_id: str, kind: ArtifactKind, wanted: Wanted) -> bytes:
    """The whole of it (10 MiB at most): a client that reads slowly must not hold a connection to the database."""

    def look(tx: Transaction) -> bytes | None:
        served.sessions.check_owner(tx, owner, session_id)
        return _content(tx, session_id, kind, wanted)

    content = await served.database.read(look)
    if content is None:
        raise NotFound(_missing(kind, wanted))
    return content


def _content(tx: Transaction, session_id: str, kind: ArtifactKind, wanted: Wanted) -> bytes | None:
    """Of the newest attempt that has what is wanted.

    A run's own change is never shown by that of an earlier run or by the whole branch's, because it was too long.
    """
    own = wanted.base is Base.RUN and kind in RUN_KINDS
    kinds = (kind, *RUN_KINDS.values()) if own else (kind,)
    origin = artifacts.latest(tx, session_id, *kinds, run_id=wanted.run_id, attempt=wanted.attempt)
    if origin is None:
        return None
    return artifacts.content(tx, origin, artifacts.of_run(tx, origin, kind) if own else kind)


def _missing(kind: ArtifactKind, wanted: Wanted) -> str:
    whose = "this run or attempt has" if wanted.run_id or wanted.attempt else "none of its runs has"
    if kind is ArtifactKind.SUBMODULES:
        return f"This session has no bundle of submodules: {whose} made commits inside of one."
    return f"This session has no {kind}: {whose} changed anything yet."
