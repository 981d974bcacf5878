"""The repository's objects and refs, brought into the session's workspace from the mirror, or from GitHub."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

from gitward.broker import OpenGrant
from gitward.errors import GitwardError, Reason, RunFailure
from gitward.grants import clock
from gitward.grants.grant import Grant
from gitward.repositories.git import CommandResult
from gitward.repositories.lfs import objects
from gitward.repositories.mirrors import FetchFailed, Source
from gitward.repositories.mirrors.fetching import FETCH_SECONDS
from gitward.repositories.refs import Refs
from gitward.runs.attempt import Attempt
from gitward.runs.commands.github_calls import token_access
from gitward.runs.commands.retrying import retry_command
from gitward.runs.context import Context
from gitward.runs.workspace.object_folders import lfs_folder, objects_folder
from gitward.sandboxes import foreign_folders
from gitward.sessions.model import StepName

log = logging.getLogger(__name__)


async def take_snapshot(context: Context) -> Refs:
    """Links the repository's objects into the workspace; its heads and tags.

    :raises RunFailure: `clone_failed`, or what is wrong with the token.
    """
    attempt = context.attempt
    folder = await asyncio.to_thread(_emptied, attempt.workspace)
    source = source_of(context)
    refs: Refs | None = None

    async def fetch(_again: bool) -> CommandResult:
        nonlocal refs
        try:
            refs = await attempt.services.mirrors.take(source, folder, attempt.notice)
        except FetchFailed as failure:
            return CommandResult(exit_code=1, tail=failure.tail, complaint=failure.tail)
        return CommandResult(exit_code=0)

    await retry_command(attempt, StepName.CHECKOUT, fetch, failed=_failed, seconds_left=context.seconds_left)
    assert refs is not None  # `fetch` has ended well
    return refs


def _failed(ended: CommandResult) -> RunFailure:
    return RunFailure(Reason.CLONE_FAILED, f"The repository could not be fetched: {ended.tail}")


def _emptied(workspace: Path) -> Path:
    objects.prepare(lfs_folder(workspace))
    folder = objects_folder(workspace)
    for each in folder.iterdir():
        foreign_folders.clear(each) if each.is_dir() else each.unlink()
    return folder


def source_of(context: Context) -> Source:
    """The repository, as a mirror is made of it."""
    facts = context.facts
    return Source(
        server_url=context.attempt.services.settings.server_url,
        repository_id=facts.repository_id,
        full_name=facts.repository,
        size_kib=facts.size_kib,
        open_grant=lambda: fetching(context.attempt, facts.repository, facts.repository_id),
    )


@contextlib.asynccontextmanager
async def fetching(attempt: Attempt, repository: str, repository_id: int) -> AsyncIterator[OpenGrant]:
    """A grant that may only fetch, with a token of the moment; the run that asked may end meanwhile."""
    services = attempt.services
    token = await services.tokens.take(token_access(attempt))
    grant = Grant(
        run_id=f"mirror-{secrets.token_hex(8)}",
        repository=repository,
        repository_id=repository_id,
        push_ref="refs/heads/none",
        fetch_only=True,
        expires_at=clock.seconds() + FETCH_SECONDS,
    )
    open_grant = await services.brokers.open(grant, token.secret, lambda _event: None, services.inspector)
    try:
        yield open_grant
    finally:
        try:
            await open_grant.close()
        except GitwardError as error:
            log.warning("Could not tell the broker that a fetch is over: %s", error)
