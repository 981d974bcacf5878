"""What becomes of work that did not come to its end: it is committed in its sandbox and kept in the database."""

from __future__ import annotations

import logging
import time
from typing import Any

from gitward.errors import RunFailure
from gitward.runs import leftover, publish, room
from gitward.runs.attempt import Attempt
from gitward.runs.checkout import resolve
from gitward.runs.commands import Commands, Kept, LimitReached
from gitward.runs.commit import commit
from gitward.runs.keeping import Work, keep
from gitward.runs.output import OutputLog
from gitward.sandboxes import Sandbox, SandboxError
from gitward.sessions.artifacts import Origin
from gitward.sessions.model import EventType

log = logging.getLogger(__name__)

SALVAGE_SECONDS = 30.0  # for each of the two tries
ASKING_SECONDS = 10.0  # to ask upstream where the branch stands


class Salvage:
    """The open sandbox of an attempt, as far as it takes to keep what lies in its checkout."""

    def __init__(self, attempt: Attempt, sandbox: Sandbox, output: OutputLog, facts: dict[str, Any]) -> None:
        self._attempt = attempt
        self._sandbox = sandbox
        self._output = output
        self._facts = facts

    async def keep(self, origin: Origin) -> None:
        """Keeps the work of `origin`, and tells whether that went well. Never fails: a run ends for its own reason.

        First all of it or nothing; then, in a checkout that is not whole or on a disk that is full, what can be had.
        """
        try:
            await self._keep(origin, self._commands(SALVAGE_SECONDS), lenient=False)
        except (RunFailure, SandboxError) as failure:
            log.warning("Run %s: not all of its work could be kept: %s", origin.run_id, failure)
            await self._keep_some(origin, needs_room=isinstance(failure, LimitReached))
        await leftover.forget(self._attempt.workspace)

    async def _keep_some(self, origin: Origin, *, needs_room: bool) -> None:
        commands = self._commands(SALVAGE_SECONDS)
        try:
            if needs_room or await room.is_full(self._attempt.workspace):
                await room.make(self._attempt, commands, self._attempt.workspace)
            await self._keep(origin, commands, lenient=True)
        except (RunFailure, SandboxError) as failure:
            log.warning("Run %s: its work could not be kept: %s", origin.run_id, failure)
            await self._attempt.notice("What the command had written by then could not be kept.")

    async def keep_lost(self) -> None:
        """Before the checkout is made anew: keeps what an attempt had done that was lost on this machine.

        Before the sandbox is authenticated, too: it may take the sandbox's home to make room.
        """
        origin = await leftover.find(self._attempt.workspace)
        if origin is not None:
            await self.keep(origin)

    async def find_pushed(self, cut_off: Commands) -> str | None:
        """The head that the branch stands at upstream, when the attempt's last push is one of which this is not known.

        A push that arrives even later stands too; the session's next run begins there.
        """
        commands = self._commands(ASKING_SECONDS)
        commands.pushing = cut_off.pushing
        try:
            return await publish.find_pushed(self._attempt, commands)
        except (RunFailure, SandboxError) as failure:
            log.warning("Run %s: did its push arrive? %s", self._attempt.claim.run.id, failure)
            return None

    def _commands(self, seconds: float) -> Commands:
        return Commands(self._sandbox, self._output, deadline=time.monotonic() + seconds, seconds=seconds)

    async def _keep(self, origin: Origin, commands: Commands, *, lenient: bool) -> None:
        [base] = await resolve(commands, f"refs/remotes/origin/{self._facts['target_branch']}")
        committed = await commit(self._attempt, commands, self._facts, lenient=lenient)
        if base is None or committed.head == base:
            return
        await keep(self._attempt, commands, Work(origin=origin, head=committed.head, base=base))
        if commands.kept is not None:
            await self.tell(origin, commands.kept)
        if not committed.complete:
            await self._attempt.notice("Files that git could not read are not in what is kept.")

    async def tell(self, origin: Origin, kept: Kept) -> None:
        """Tells where the work is."""
        session_id = self._attempt.claim.session.id
        query = f"run_id={origin.run_id}&attempt={origin.attempt}"
        data = {
            "run_id": origin.run_id,
            "attempt": origin.attempt,
            "head_sha": kept.head,
            "artifacts": {kind: f"/sessions/{session_id}/{kind}?{query}" for kind in kept.kinds},
        }
        await self._attempt.tell((EventType.WORK_KEPT, data))
