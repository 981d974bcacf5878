"""Pushes that must be inspected: spooled, read by git in a sandbox, judged, then forwarded.

Every fault on the way refuses the push.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine

from gitward.broker.policy.push import Update
from gitward.broker.policy.writes import SETTING
from gitward.broker.server.forwarder import UpstreamFailed
from gitward.broker.server.inspection import workflow_rule
from gitward.broker.server.inspection.pack_file import PackFile
from gitward.broker.server.inspection.requests import InspectionRequests
from gitward.broker.server.inspection.workflow_rule import WorkflowRule
from gitward.errors import PolicyDenied
from gitward.grants.grant import Grant
from gitward.grants.inspection import BadPack, Findings, InspectionFailed

PACK = "git.push.pack"
UNSEEN = "git.push.unseen"
CLOSING = "git.push.closing"
CLOSING_MESSAGE = (
    f"a commit's message closes an issue of another repository: {{reference}}; write it without that ({SETTING})"
)
RULES = {
    workflow_rule.RULE: workflow_rule.MESSAGE.format(files=" (the files)"),
    CLOSING: CLOSING_MESSAGE.format(reference="(the issue)"),
    PACK: "what is wrong with the pack: it is not whole (`git push --no-thin`), not readable, or too large",
    UNSEEN: "why the inspection failed, on the worker or on GitHub; then try again",
}  # and what git prints
_TURN_SECONDS = 300.0  # that a push waits for another one of its run


class PushCheck:
    """One run's. Its pushes are looked at one after the other."""

    def __init__(self, *, grant: Grant, questions: InspectionRequests, rule: WorkflowRule | None) -> None:
        """Without a rule the session may change workflows."""
        self._grant = grant
        self._run_id = grant.run_id
        self._questions = questions
        self._rule = rule
        self._turn = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def cleared(self, update: Update, first: bytes, body: AsyncIterator[bytes]) -> AsyncIterator[PackFile]:
        """The pack (`first`, then `body`), when it may go on. Raises PolicyDenied with a rule of a push."""
        async with self._own_turn(), self._pack_file() as pack_file:
            async with _meanwhile(self._prepare()) as prepared:
                try:
                    await pack_file.fill(first, body)
                    await self._judge(pack_file, update, prepared)
                except BadPack as error:
                    raise PolicyDenied(PACK, str(error)) from error
                except (InspectionFailed, UpstreamFailed) as error:
                    raise PolicyDenied(UNSEEN, str(error)) from error
            yield pack_file

    async def _judge(self, pack_file: PackFile, update: Update, prepared: asyncio.Task[None]) -> None:
        own = self._grant.own_writes
        findings = await self._questions.inspect(self._run_id, pack_file.descriptor, update.new, messages=own)
        await prepared
        if self._rule is not None:
            verdict = await self._rule.check(update.new, findings)
            if not verdict.allowed:
                raise PolicyDenied(verdict.rule, verdict.message)
        if own:
            _check_closings(findings, self._grant.repository)

    async def _prepare(self) -> None:
        if self._rule is not None:
            await self._rule.prepare()

    @contextlib.asynccontextmanager
    async def _pack_file(self) -> AsyncIterator[PackFile]:
        try:
            pack_file = PackFile(await self._questions.open_file(self._run_id))
        except InspectionFailed as error:
            raise PolicyDenied(UNSEEN, str(error)) from error
        try:
            yield pack_file
        finally:
            pack_file.close()

    @contextlib.asynccontextmanager
    async def _own_turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(_TURN_SECONDS):
                await self._turn.acquire()
        except TimeoutError:
            raise PolicyDenied(UNSEEN, "another push of this session is still under way; try again") from None
        try:
            yield
        finally:
            self._turn.release()


def _check_closings(findings: Findings, repository: str) -> None:
    """Raises PolicyDenied."""
    own = repository.casefold()
    reference = next((reference for name, reference in findings.closes.items() if name != own), None)
    if reference is not None:
        shown = "".join(each if each.isascii() and each.isprintable() else "?" for each in reference)[:100]
        raise PolicyDenied(CLOSING, CLOSING_MESSAGE.format(reference=shown))


@contextlib.asynccontextmanager
async def _meanwhile(work: Coroutine[None, None, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Runs beside the block, and no longer than it."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
