"""Whether an agent starts here: its answer to `initialize`, in a sandbox that reaches nothing, without a model."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from gitward.agents.catalogue import Agent
from gitward.agents.conversation import START_SECONDS, VERSION
from gitward.agents.installed import Agents
from gitward.agents.peer import PROTOCOL_VERSION, ConnectionEnded, Peer, PeerError
from gitward.agents.texts import line_of
from gitward.errors import GitwardError
from gitward.grants.endpoint import Nowhere
from gitward.sandboxes import Command, Limits, Sandbox, SandboxEngine, SandboxError, Shown, Stream

_SHORT = 300  # characters of what an agent said on standard error


class NotStarted(GitwardError):
    """The text goes on after the agent's name."""


async def initialise(
    agents: Agents,
    agent: Agent,
    engine: SandboxEngine,
    folder: Path,
    limits: Limits,
    *,
    seconds: float = START_SECONDS,
) -> str:
    """What the agent calls itself, with its version.

    :param folder: where a workspace can be made for the moment.
    :param seconds: for its answer.
    :raises NotStarted: it is not installed, or does not answer.
    """
    problem = await asyncio.to_thread(agents.missing_program, agent)
    if problem is not None:
        raise NotStarted(problem)
    try:
        async with _sandbox(agents, agent, engine, folder, limits) as sandbox:
            return await _asked(agents, agent, sandbox, seconds)
    except SandboxError as error:
        raise NotStarted(f"no sandbox could be opened: {error}") from error


@contextlib.asynccontextmanager
async def _sandbox(
    agents: Agents, agent: Agent, engine: SandboxEngine, folder: Path, limits: Limits
) -> AsyncIterator[Sandbox]:
    workspace = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="doctor-", dir=folder))
    try:
        shown = [Shown(host=each.host, inside=each.inside, is_shared=True) for each in agents.folders(agent)]
        sandbox = await engine.open(
            name=f"doctor-{agent.name}", workspace=workspace, endpoint=Nowhere(), limits=limits, shown=shown
        )
        try:
            yield sandbox
        finally:
            await sandbox.close()
    finally:
        await asyncio.to_thread(shutil.rmtree, workspace, ignore_errors=True)


async def _asked(agents: Agents, agent: Agent, sandbox: Sandbox, seconds: float) -> str:
    start = agents.start(agent, model=None)
    made = Command(argv=("mkdir", "-p", "--", *start.folders), timeout_seconds=seconds)
    if (await sandbox.run(made)).exit_code != 0:
        raise NotStarted("its folder could not be created")
    for path, text in start.files.items():
        await sandbox.write(path, text.encode())
    complaint = bytearray()
    peer = Peer(_nobody)

    async def take(stream: Stream, piece: bytes) -> None:
        if stream is Stream.STDOUT:
            await peer.take(piece)
        else:
            complaint.extend(piece)
            del complaint[:-_SHORT]

    command = Command(argv=start.argv, env=start.env, source=peer.outbox, timeout_seconds=seconds)
    running = asyncio.create_task(sandbox.run(command, take))
    running.add_done_callback(lambda _: peer.end(ConnectionEnded("it ended")))
    try:
        async with asyncio.timeout(seconds):
            return _name(await peer.request("initialize", _WISH))
    except TimeoutError:
        raise NotStarted(f"it did not answer within {seconds:g} s") from None
    except PeerError as error:
        said = " ".join(complaint.decode("utf-8", "replace").split())
        raise NotStarted(f"{error}{f': {_printable(said)}' if said else ''}") from None
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


_WISH = {
    "protocolVersion": PROTOCOL_VERSION,
    "clientCapabilities": {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False},
}


def _name(answer: dict[str, object]) -> str:
    """:raises PeerError: it speaks another version of the protocol."""
    if answer.get("protocolVersion") != PROTOCOL_VERSION:
        raise PeerError("it speaks another version of the Agent Client Protocol than 1")
    info = answer.get("agentInfo")
    named = info if isinstance(info, dict) else {}
    return _printable(f"{line_of(named.get('name'), VERSION)} {line_of(named.get('version'), VERSION)}".strip()) or "it"


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)


async def _nobody(_: object) -> None:
    """Before there is a session nothing is told that matters."""
