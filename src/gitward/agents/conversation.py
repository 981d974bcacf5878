"""One turn over an open connection: initialize, a session, mode and model, the prompt, the reason why it stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gitward.agents.lines import Json
from gitward.agents.peer import (
    AUTH_REQUIRED,
    INTERNAL_ERROR,
    METHOD_NOT_FOUND,
    PROTOCOL_VERSION,
    Answered,
    ConnectionEnded,
    Peer,
    PeerError,
    TooMuch,
)
from gitward.agents.texts import line_of
from gitward.agents.verdict import Trouble, TurnEnd

START_SECONDS = 90.0  # as usual: from the program's start to its answer to `session/new`, mode and model included
ANSWER_SECONDS = 1.0  # for the answer to a prompt that was cancelled
STOP_REASON = 64  # characters
VERSION = 64
CONVERSATION = 256
_CLIENT = {"name": "gitward", "title": "Gitward", "version": "1"}


@dataclass(frozen=True, kw_only=True)
class Order:
    """What the agent shall do, and how it is set."""

    prompt: str
    briefing: str = ""  # what it is told before the prompt, in our own words
    resume: str | None = None  # the id of the conversation that goes on; None: a new one
    cwd: str  # inside
    mode: str | None = None  # `session/set_mode`
    model: str | None = None  # by the session's option for models; None: the agent's own, or by its environment
    start_seconds: float = START_SECONDS
    idle_seconds: float  # without a sign of life


@dataclass(frozen=True, kw_only=True)
class Started:
    """What the agent said about itself."""

    version: str
    model: str
    mode: str
    conversation: str
    resumed: bool = False


class Conversation:
    """A turn. `talk` it once; `cancel` may be called while it runs."""

    def __init__(self, peer: Peer, order: Order, *, life: Callable[[], float]) -> None:
        """`life` tells when something last showed that agent or model are alive, on the loop's clock."""
        self._peer, self._order, self._life = peer, order, life
        self._prompting: asyncio.Task[Json] | None = None

    async def talk(self, started: Callable[[Started], Awaitable[None]]) -> TurnEnd:
        """The whole turn. `started` is awaited before the prompt."""
        try:
            async with asyncio.timeout(self._order.start_seconds):
                begun = await self._start()
        except TimeoutError:
            return TurnEnd(trouble=self._not_ready, said=f"{self._order.start_seconds:g} s were not enough")
        except PeerError as error:
            is_passing = isinstance(error, Answered) and error.code == INTERNAL_ERROR
            return TurnEnd(trouble=_trouble(error, self._not_ready), said=str(error), is_passing=is_passing)
        await started(begun)
        try:
            return await self._prompt()
        except PeerError as error:
            return TurnEnd(trouble=_trouble(error, Trouble.ERROR), said=str(error))

    async def cancel(self) -> None:
        """Asks the agent to stop, and gives it a moment to say that it did."""
        if self._prompting is None or self._prompting.done():
            return
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._peer.notify("session/cancel", {"sessionId": self._peer.session})
                await asyncio.wait({self._prompting})
        except TimeoutError:
            pass
        finally:
            self._prompting.cancel()
            await asyncio.gather(self._prompting, return_exceptions=True)

    async def _start(self) -> Started:
        initialized = await self._peer.request(
            "initialize",
            {
                "protocolVersion": PROTOCOL_VERSION,
                "clientCapabilities": {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False},
                "clientInfo": _CLIENT,
            },
        )
        if initialized.get("protocolVersion") != PROTOCOL_VERSION:
            raise PeerError("it speaks another version of the Agent Client Protocol than 1")
        resume = self._order.resume
        opened = await (self._open() if resume is None else self._reopen(resume, initialized))
        conversation = opened.get("sessionId") or resume
        if resume is not None and conversation != resume:
            raise PeerError("it began another conversation instead")
        if not isinstance(conversation, str) or not 0 < len(conversation) <= CONVERSATION:
            raise PeerError("its answer to session/new has no usable sessionId")
        self._peer.session = conversation
        await self._set_mode()
        model = await self._set_model(opened)
        info = initialized.get("agentInfo")
        return Started(
            version=line_of(info.get("version"), VERSION) if isinstance(info, dict) else "",
            model=model,
            mode=self._order.mode or "",
            conversation=line_of(conversation, CONVERSATION),
            resumed=resume is not None,
        )

    @property
    def _not_ready(self) -> Trouble:
        return Trouble.NOT_READY if self._order.resume is None else Trouble.NOT_RESUMED

    async def _open(self) -> Json:
        return await self._peer.request("session/new", {"cwd": self._order.cwd, "mcpServers": []})

    async def _reopen(self, conversation: str, initialized: Json) -> Json:
        """Goes on where the conversation ended: without its history, which our own log has, where the agent can."""
        can = initialized.get("agentCapabilities")
        can = can if isinstance(can, dict) else {}
        sessions = can.get("sessionCapabilities")
        asked = {"sessionId": conversation, "cwd": self._order.cwd, "mcpServers": []}
        loads = can.get("loadSession") is True
        if isinstance(sessions, dict) and isinstance(sessions.get("resume"), dict):
            try:
                return await self._peer.request("session/resume", asked)
            except Answered as error:  # qwen-code 0.15.10 offers it, and does not have it
                if error.code != METHOD_NOT_FOUND or not loads:
                    raise
        if loads:
            return await self._peer.request("session/load", asked)
        raise PeerError("it can resume no conversation")

    async def _set_mode(self) -> None:
        if self._order.mode is not None:
            asked = {"sessionId": self._peer.session, "modeId": self._order.mode}
            await self._peer.request("session/set_mode", asked)

    async def _set_model(self, opened: Json) -> str:
        """By the option that the agent offers for it; its name."""
        wanted = self._order.model
        if wanted is None:
            return ""
        option = _model_option(opened)
        asked: Json = {"sessionId": self._peer.session}
        if option is not None:
            await self._peer.request("session/set_config_option", {**asked, "configId": option, "value": wanted})
        elif isinstance(opened.get("models"), dict):  # what agents had before there were options
            await self._peer.request("session/set_model", {**asked, "modelId": wanted})
        else:
            raise PeerError("it offers no choice of a model; omit `model`")
        return wanted

    async def _prompt(self) -> TurnEnd:
        texts = [each for each in (self._order.briefing, self._order.prompt) if each]
        prompt = [{"type": "text", "text": each} for each in texts]
        asking = self._peer.request("session/prompt", {"sessionId": self._peer.session, "prompt": prompt})
        self._prompting = asyncio.create_task(asking)
        try:
            return await self._stopped(self._prompting)
        finally:
            self._prompting.cancel()
            await asyncio.gather(self._prompting, return_exceptions=True)

    async def _stopped(self, prompting: asyncio.Task[Json]) -> TurnEnd:
        """Waits for the answer, for as long as there are signs of life."""
        began = asyncio.get_running_loop().time()
        while not prompting.done():
            left = max(began, self._life()) + self._order.idle_seconds - asyncio.get_running_loop().time()
            if left <= 0:
                await self.cancel()
                return TurnEnd(trouble=Trouble.SILENT, said=f"{self._order.idle_seconds:g} s passed")
            await asyncio.wait({prompting}, timeout=left)
        return TurnEnd(stop_reason=line_of(prompting.result().get("stopReason"), STOP_REASON) or "none")


def _trouble(error: PeerError, else_: Trouble) -> Trouble:
    match error:
        case Answered(code=code) if code == AUTH_REQUIRED:
            return Trouble.NOT_SIGNED_IN
        case ConnectionEnded() if else_ is Trouble.ERROR:
            return Trouble.ENDED
        case TooMuch():
            return Trouble.TOO_MUCH
        case _:
            return else_


def _model_option(opened: Json) -> str | None:
    options = opened.get("configOptions")
    for each in options[:50] if isinstance(options, list) else []:
        if isinstance(each, dict) and "model" in (each.get("category"), each.get("id")):
            id_ = each.get("id")
            return id_ if isinstance(id_, str) and len(id_) <= 256 else None
    return None
