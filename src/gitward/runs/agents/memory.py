"""What an agent remembers of a session, between its runs: kept in the database, put back on any machine.

The agent's folder is made anew for each run; only the files that its entry names come back.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from gitward.agents.archive import Archive, KeptFile, WrongArchive, is_usable_id, pack, unpack
from gitward.agents.catalogue import Agent
from gitward.repositories.foreign_folder import Damaged
from gitward.runs.agents import conversation_files
from gitward.runs.agents.conversation_files import Changing
from gitward.runs.attempt import Attempt
from gitward.runs.context import Context
from gitward.sessions import conversations
from gitward.sessions.artifacts import Origin
from gitward.store.database import Transaction

log = logging.getLogger(__name__)

QUIET_SECONDS = 3.0  # for an agent's files to rest after its turn
_NOTE = "conversation.json"  # beside `work`, where no sandbox sees it


@dataclass(frozen=True, kw_only=True)
class Note:
    """Whose conversation lies in the workspace and is not kept yet."""

    run_id: str
    attempt: int
    agent: str
    conversation: str
    digest: str = ""  # of what was kept of it last


def note(context: Context, agent: Agent, conversation: str) -> None:
    """The agent has begun, or resumed, this conversation. Blocks."""
    if agent.conversation and is_usable_id(conversation):
        origin = context.attempt.origin
        named = Note(run_id=origin.run_id, attempt=origin.attempt, agent=agent.name, conversation=conversation)
        _write(context.workspace, named)


def _write(workspace: Path, named: Note) -> None:
    temporary = workspace / f"{_NOTE}.new"
    temporary.write_text(json.dumps(asdict(named)))
    temporary.replace(workspace / _NOTE)


def _find(workspace: Path) -> Note | None:
    try:
        return Note(**json.loads((workspace / _NOTE).read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):
        return None


async def find(context: Context, agent: Agent) -> Archive | None:
    """What the agent remembers of the session; None: nothing that can be used."""
    attempt = context.attempt
    packed = await attempt.write(lambda tx: conversations.find(tx, attempt.session.id, agent.name))
    if packed is None:
        return None
    try:
        archive = await asyncio.to_thread(unpack, packed, agent.conversation)
    except WrongArchive as wrong:
        log.warning("Session %s: the conversation of %s cannot be used: %s", attempt.session.id, agent.name, wrong)
        return None
    return archive if archive.agent == agent.name else None


async def until_quiet(context: Context, agent: Agent) -> None:
    """Waits until the conversation's files rest, for a while at most."""
    if not agent.conversation or not agent.quiet_seconds:
        return
    look = partial(conversation_files.signature, context.workspace, agent.name, agent.conversation)
    try:
        async with asyncio.timeout(QUIET_SECONDS):
            before = await asyncio.to_thread(look)
            while True:
                await asyncio.sleep(agent.quiet_seconds)
                if before == (before := await asyncio.to_thread(look)):
                    return
    except (OSError, Damaged, WrongArchive, TimeoutError) as problem:
        log.info("Run %s: its conversation does not rest: %s", context.attempt.run.id, type(problem).__name__)


async def keep_lost(context: Context) -> None:
    """Before the workspace is emptied: what an attempt that was lost on this machine left."""
    await keep(context, final=True)


async def keep(context: Context, *, final: bool) -> None:
    """Keeps the conversation that lies in the workspace, if it changed. Never fails: a run ends for its own reason.

    :param final: no program writes it any more, and nobody looks at it again.
    """
    try:
        await _keep(context, final=final)
    except (OSError, Damaged) as error:
        log.warning("Run %s: its conversation could not be kept: %s", context.attempt.run.id, error)
    finally:
        if final:
            with contextlib.suppress(OSError):
                await asyncio.to_thread((context.workspace / _NOTE).unlink, missing_ok=True)


async def _keep(context: Context, *, final: bool) -> None:
    attempt, services = context.attempt, context.attempt.services
    noted = await asyncio.to_thread(_find, context.workspace)
    agent = None if noted is None or services.agents is None else services.agents.get(noted.agent)
    if noted is None or agent is None:
        return
    if services.database.is_low:
        if final:
            await _drop(attempt, agent, "the disk of the database is nearly full", told=True)
        return
    try:
        files = await asyncio.to_thread(conversation_files.read, context.workspace, agent.name, agent.conversation)
        digest = await asyncio.to_thread(_digest, files)
        if not files or digest == noted.digest:
            return
        if await asyncio.to_thread(conversation_files.hold_secret, files, context.access.redactor):
            await _drop(attempt, agent, "it holds a secret", told=final)
            return
        archive = Archive(agent=agent.name, conversation=noted.conversation, files=files)
        packed = await asyncio.to_thread(pack, archive)
    except Changing:
        log.info("Run %s: its conversation is being written", attempt.run.id)
        return
    except WrongArchive as wrong:
        await _drop(attempt, agent, f"it has {wrong}", told=final)
        return
    await attempt.write(partial(_store, attempt, noted, packed))
    await asyncio.to_thread(_write, context.workspace, Note(**{**asdict(noted), "digest": digest}))


def _digest(files: tuple[KeptFile, ...]) -> str:
    found = hashlib.sha256()
    for each in files:
        found.update(f"{each.path}\0{len(each.content)}\0".encode("utf-8", "surrogateescape"))
        found.update(each.content)
    return found.hexdigest()


def _store(attempt: Attempt, noted: Note, packed: bytes, tx: Transaction) -> None:
    attempt.services.progress.guard(tx, attempt.hold)
    origin = Origin(run_id=noted.run_id, attempt=noted.attempt)
    conversations.keep(tx, attempt.session.id, noted.agent, origin, packed)


async def _drop(attempt: Attempt, agent: Agent, why: str, *, told: bool) -> None:
    """With what was kept of it before, which ends in the middle."""
    await attempt.write(partial(_forget, attempt, agent.name))
    if told:
        await attempt.notice(
            f"The conversation with {agent.title} is not kept: {why}. The next prompt begins a new one."
        )


def _forget(attempt: Attempt, agent: str, tx: Transaction) -> None:
    attempt.services.progress.guard(tx, attempt.hold)
    conversations.forget(tx, attempt.session.id, agent)
