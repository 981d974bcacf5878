"""The sandbox of a run's commands: open while they run, closed before anybody reads their files."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from gitward.environments.store import Unusable
from gitward.errors import Reason, RunFailure
from gitward.grants.system_image import SystemImage
from gitward.runs.access import gh_login
from gitward.runs.access.run_access import OPENING_SECONDS, opening_took_too_long
from gitward.runs.agents import programs
from gitward.runs.attempt import Attempt
from gitward.runs.commands.deadline import within_deadline
from gitward.runs.context import Context
from gitward.runs.workspace.object_folders import shown_objects
from gitward.sandboxes import Sandbox, Shown, User
from gitward.sessions.model import HOST


class CommandSandbox:
    """The sandbox of a run's commands. `close` it before its files are looked at."""

    def __init__(self, attempt: Attempt, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.user: User = sandbox.share_user()
        self._attempt = attempt
        self._closed = False

    async def close(self) -> None:
        """Afterwards nothing of the run is executing, and the home with gh's credential is empty."""
        if self._closed:
            return
        try:
            if self._attempt.services.settings.login_mode:
                await gh_login.log_out(self._attempt, self.sandbox)
        finally:
            try:
                await self.sandbox.close()
                self._closed = True
            finally:
                await gh_login.wipe(self._attempt.workspace)


@contextlib.asynccontextmanager
async def open_command_sandbox(context: Context) -> AsyncIterator[CommandSandbox]:
    """The sandbox of the run's commands; it sees the snapshot's objects, which come later."""
    attempt = context.attempt
    opening = attempt.services.sandboxes.open(
        name=attempt.run.id,
        workspace=attempt.workspace,
        endpoint=context.access.grant,
        limits=attempt.services.settings.limits,
        shown=await asyncio.to_thread(_shown, context),
        image=await asyncio.to_thread(_image, context),
    )
    here = CommandSandbox(
        attempt, await within_deadline(attempt, opening, seconds=OPENING_SECONDS, late=opening_took_too_long())
    )
    try:
        yield here
    finally:
        try:
            await here.close()
        finally:
            here.user.release()


def _image(context: Context) -> SystemImage | None:
    """Of the run's environment. It was there when the run was posted; that may be long ago, or elsewhere. Blocks.

    :raises RunFailure: `sandbox_failed`: this worker does not have it.
    """
    run = context.attempt.run
    if run.environment == HOST or not run.instruction.works:
        return None
    try:
        stored = context.attempt.services.environments.get(run.environment)
    except Unusable as error:
        raise RunFailure(Reason.SANDBOX_FAILED, str(error)) from None
    if stored is None:
        message = (
            f"This worker has no environment {run.environment}; the operator runs: gitward environments add "
            f"{run.environment} …"
        )
        raise RunFailure(Reason.SANDBOX_FAILED, message)
    return stored.image


def _shown(context: Context) -> list[Shown]:
    """What the run's commands see of the host beside the system. Blocks."""
    return [*shown_objects(context.workspace), *programs.shown(context)]
