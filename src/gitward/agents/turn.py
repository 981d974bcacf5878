"""One turn of an agent program: it is started, spoken to, and ended, whatever it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine
from typing import Any

from gitward.agents.conversation import Conversation, Order, Started
from gitward.agents.events import Events
from gitward.agents.peer import ConnectionEnded, Peer
from gitward.agents.updates import Asked, Update
from gitward.agents.verdict import TurnEnd
from gitward.sandboxes import Completed, OnOutput, Stream

# Runs the program with this input, and gives this function its output.
Program = Callable[[AsyncIterable[bytes], OnOutput], Coroutine[Any, Any, Completed]]


class Turn:
    """`run` it once. Cancelling asks the agent to stop, then ends the program before CancelledError goes on."""

    def __init__(
        self,
        order: Order,
        events: Events,
        *,
        on_started: Callable[[Started], Awaitable[None]],
        on_error_output: OnOutput,
        model_sign: Callable[[], float],
        before_end: Callable[[], Awaitable[None]],
        end_seconds: float,
    ) -> None:
        """`model_sign`: when the model gave the last sign of life, by the loop's clock. `before_end` is awaited between
        the answer to the prompt and the end of the program's input; then it has `end_seconds` to end by itself."""
        self._events = events
        self._on_started, self._on_error_output = on_started, on_error_output
        self._model_sign, self._before_end, self._end_seconds = model_sign, before_end, end_seconds
        self._clock = asyncio.get_running_loop().time
        self._sign = self._clock()
        self.peer = Peer(self._hear)
        self._conversation = Conversation(self.peer, order, life=lambda: max(self._sign, self._model_sign()))
        self.completed: Completed | None = None  # how the program ended, when it did so by itself

    async def run(self, program: Program) -> TurnEnd:
        """:raises: what `program` raises."""
        running = asyncio.create_task(program(self.peer.outbox, self._take))
        running.add_done_callback(lambda _: self.peer.end(ConnectionEnded("its connection ended")))
        talking = asyncio.create_task(self._conversation.talk(self._on_started))
        try:
            await asyncio.wait({talking})
            if not running.done():
                await self._before_end()
            await self._let_end(running)
        except asyncio.CancelledError:
            await self._conversation.cancel()
            raise
        finally:
            for task in (talking, running):
                task.cancel()
            await asyncio.gather(talking, running, return_exceptions=True)
        if not running.cancelled():
            self.completed = running.result()
        return talking.result()

    async def _let_end(self, running: asyncio.Task[Completed]) -> None:
        try:
            async with asyncio.timeout(self._end_seconds):
                await self.peer.outbox.end()
                await asyncio.wait({running})
        except TimeoutError:
            pass

    async def _take(self, stream: Stream, piece: bytes) -> None:
        if stream is Stream.STDOUT:
            await self.peer.take(piece)
        else:
            await self._on_error_output(stream, piece)

    async def _hear(self, update: Update | Asked) -> None:
        self._sign = self._clock()
        self._events.take(update)
