"""Runs the instruction's prompt: the agent's program in the sandbox, its turn, and the verdict on it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from functools import partial

from gitward.agents.archive import Archive
from gitward.agents.catalogue import Agent, AgentStart, ModelSetting
from gitward.agents.conversation import CONVERSATION, STOP_REASON, VERSION, Order, Started
from gitward.agents.events import Events
from gitward.agents.texts import masked
from gitward.agents.turn import Turn
from gitward.agents.verdict import Seen, Trouble, TurnEnd, verdict
from gitward.errors import Reason, RunFailure
from gitward.repositories.baseline import Baseline
from gitward.repositories.checkout import CHECKOUT_DIR
from gitward.runs.agents import agent_folder, memory, programs, turn_plan
from gitward.runs.agents.telling import TurnSummary, told
from gitward.runs.agents.turn_plan import TurnPlan
from gitward.runs.commands import disk_full
from gitward.runs.commands.caches import AFTER_SETUP, CACHES
from gitward.runs.commands.output import StepOutput, last_lines
from gitward.runs.commands.runner import CommandRunner
from gitward.runs.context import Context
from gitward.sandboxes import Stream
from gitward.sessions.model import EventType, StepName

log = logging.getLogger(__name__)

STOP_SECONDS = 3.0  # before the run's time is over: for the agent to be asked to stop
SETTLE_SECONDS = 2.0  # for the broker to tell of the last model call
SAID = 1_000  # characters of an agent's own words about its trouble
_NOT_FOUND = 127  # exit code of a program that cannot be started
_COMPLAINT = 16 * 1024  # bytes of standard error, from its end


@dataclass(frozen=True, kw_only=True)
class TurnResult:
    """A turn that came to its end."""

    said: str  # the agent's last message


async def execute(context: Context, commands: CommandRunner, noted: Baseline) -> TurnResult:
    """The whole turn of the agent, up to its verdict.

    :raises RunFailure: `agent_unavailable`, `agent_failed`, `model_failed`, `budget_exhausted`, `task_failed`,
        `timed_out`.
    """
    return await AgentTurn(context, commands, noted).run()


class AgentTurn:
    """One turn of one run."""

    def __init__(self, context: Context, commands: CommandRunner, noted: Baseline) -> None:
        self._context, self._commands, self._noted = context, commands, noted
        self._events = Events(context.access.redactor)
        self._complaint = bytearray()
        self._end = TurnEnd()  # until it ended by itself
        self._turn: Turn | None = None  # the last one

    async def run(self) -> TurnResult:
        context, services = self._context, self._context.attempt.services
        name = context.instruction.agent or ""
        agent = await asyncio.to_thread(programs.usable, services.agents, name)
        assert services.agents is not None
        start = services.agents.start(agent, model=context.instruction.model)
        plan = await turn_plan.make(context, self._commands, self._noted, agent)
        output = context.output
        async with output.stream(StepName.EXECUTE) as errors, told(self._events, output, self._ending):
            self._end = await self._within_time(self._while_asking(self._talk(plan, start, errors)))
        turn = self._turn
        if turn is None:  # the budget was used up before the agent was started
            return await self._judge(agent, self._end)
        if turn.peer.dropped.updates:
            dropped, run_id = turn.peer.dropped, context.attempt.run.id
            log.info("Run %s: %d of the agent's messages were dropped: %r", run_id, dropped.updates, dropped.kinds)
        return await self._judge(agent, self._explained(turn, self._end))

    async def _talk(self, plan: TurnPlan, start: AgentStart, errors: StepOutput) -> TurnEnd:
        """The turn. When the conversation cannot go on, a new one, in a folder without it."""
        for last in (False, True):
            end = self._unless_lost(plan, await self._talk_once(plan, start, errors))
            if end.trouble is not Trouble.NOT_RESUMED:
                return end
            if last or not end.is_passing:
                break
            self._complaint.clear()
        said = self._masked(end.said, SAID)
        log.info("Run %s: its conversation did not go on: %s", self._context.attempt.run.id, said)
        again = await turn_plan.without_conversation(plan, said)
        self._complaint.clear()
        return await self._talk_once(again, start, errors)

    def _unless_lost(self, plan: TurnPlan, end: TurnEnd) -> TurnEnd:
        """Some agents say that they resumed what they do not have, and then refuse the prompt."""
        asked = self._context.access.models.tally.begun
        done = asked or self._events.tools or self._events.last_message
        silent = {"refusal", "end_turn"} if plan.agent.hosts else {"refusal"}
        if plan.archive is None or done or end.trouble is not None or end.stop_reason not in silent:
            return end
        return TurnEnd(trouble=Trouble.NOT_RESUMED, said="it did nothing in it, and its model was never asked")

    async def _talk_once(self, plan: TurnPlan, start: AgentStart, errors: StepOutput) -> TurnEnd:
        await self._prepare(start, plan.archive)
        turn = self._turn = self._new_turn(plan, errors)
        handed_on = AFTER_SETUP if self._noted.has_setup else {}
        env = {**CACHES, **handed_on, **self._context.instruction.env, **start.env}
        return await turn.run(lambda source, sink: self._commands.attend(start.argv, sink, source=source, env=env))

    async def _prepare(self, start: AgentStart, kept: Archive | None) -> None:
        made = await agent_folder.make(self._commands, start, kept)
        if made.exit_code != 0:
            message = f"The agent's folder could not be created: {made.tail}"
            raise disk_full.named(RunFailure(Reason.AGENT_UNAVAILABLE, message), made)

    def _new_turn(self, plan: TurnPlan, errors: StepOutput) -> Turn:
        instruction, agent = self._context.instruction, plan.agent
        order = Order(
            prompt=instruction.prompt or "",
            briefing=plan.briefing,
            resume=plan.archive.conversation if plan.archive is not None else None,
            cwd=CHECKOUT_DIR,
            mode=agent.mode,
            model=instruction.model if agent.model_setting is ModelSetting.OPTION else None,
            start_seconds=self._context.attempt.services.settings.agent_start_seconds,
            idle_seconds=self._context.attempt.services.settings.agent_idle_seconds,
        )

        async def complain(stream: Stream, piece: bytes) -> None:
            self._complaint += piece
            del self._complaint[:-_COMPLAINT]
            await errors(stream, piece)

        calls = self._context.access.models
        return Turn(
            order,
            self._events,
            on_started=partial(self._started, agent),
            on_error_output=complain,
            model_sign=lambda: calls.last_sign,
            before_end=partial(memory.until_quiet, self._context, agent),
            end_seconds=agent.end_seconds,
        )

    async def _within_time(self, talking: Coroutine[None, None, TurnEnd]) -> TurnEnd:
        """The run's time ends the turn a little earlier than its commands, so that the agent is asked first."""
        with self._commands.complaining():
            async with asyncio.timeout(max(0.0, self._commands.seconds_left - STOP_SECONDS)):
                return await talking

    async def _while_asking(self, talking: Coroutine[None, None, TurnEnd]) -> TurnEnd:
        """When no more requests to models pass, the agent is asked to stop; the verdict tells why."""
        meter = self._context.access.usage.meter
        meter.turn_begins()
        main = asyncio.create_task(talking)
        limit = asyncio.create_task(self._asking_is_over())
        try:
            await asyncio.wait({main, limit}, return_when=asyncio.FIRST_COMPLETED)
            return main.result() if main.done() else TurnEnd()
        finally:
            meter.turn_ends()
            for task in (limit, main):
                task.cancel()
            await asyncio.gather(main, limit, return_exceptions=True)

    async def _asking_is_over(self) -> None:
        """A limit of the budget was reached, or the model failed too often."""
        calls, budget = self._context.access.models, self._context.instruction.budget
        seconds = None if budget is None else budget.seconds
        left = None if seconds is None else seconds - self._context.access.usage.meter.seconds
        try:
            async with asyncio.timeout(left):
                await calls.until_over()
        except TimeoutError:
            calls.budget_reached(f"This run's budget of {seconds:,} seconds is used up.")

    async def _started(self, agent: Agent, started: Started) -> None:
        self._context.access.models.begin()
        await asyncio.to_thread(memory.note, self._context, agent, started.conversation)
        data = {
            "agent": agent.name,
            "version": self._masked(started.version, VERSION) or agent.version,
            "model": self._context.instruction.model,
            "mode": agent.mode,
            "conversation": self._masked(started.conversation, CONVERSATION),
            "resumed": started.resumed,
        }
        await self._context.attempt.record((EventType.AGENT_STARTED, data))

    def _explained(self, turn: Turn, end: TurnEnd) -> TurnEnd:
        """With what only the program's end tells."""
        completed = turn.completed
        if completed is None or end.trouble not in {Trouble.ENDED, Trouble.NOT_READY}:
            return end
        complaint = last_lines(self._context.output.masked(bytes(self._complaint)))
        said = f"exit code {completed.exit_code}" + (f", {complaint}" if complaint else "")
        is_missing = completed.exit_code == _NOT_FOUND and end.trouble is Trouble.NOT_READY
        return replace(end, said=said, trouble=Trouble.MISSING if is_missing else end.trouble)

    def _ending(self) -> TurnSummary:
        events, stop_reason = self._events, self._end.stop_reason
        peer = self._turn.peer if self._turn is not None else None
        return TurnSummary(
            stop_reason=None if stop_reason is None else self._masked(stop_reason, STOP_REASON),
            text=events.last_message,
            tools=events.tools,
            failed_tools=events.failed_tools,
            dropped=events.dropped + (0 if peer is None else peer.dropped.updates + peer.skipped.total),
        )

    async def _judge(self, agent: Agent, end: TurnEnd) -> TurnResult:
        calls = self._context.access.models
        await calls.settled(seconds=SETTLE_SECONDS)
        events = self._events
        said = events.last_message
        seen = Seen(
            end=replace(
                end,
                said=self._masked(end.said, SAID),
                stop_reason=None if end.stop_reason is None else self._masked(end.stop_reason, STOP_REASON),
            ),
            calls=calls.tally if agent.hosts else None,
            budget=calls.exhausted,
            is_given_up=calls.given_up,
            last_message=said,
            tools=events.tools,
            failed_tools=events.failed_tools,
        )
        notice = self._raise(seen)
        if notice is not None:
            await self._context.attempt.notice(notice)
        return TurnResult(said=said)

    def _masked(self, text: str, limit: int) -> str:
        return masked(text, limit, self._context.access.redactor)

    @staticmethod
    def _raise(seen: Seen) -> str | None:
        """:raises RunFailure: the turn failed. Else a sentence about it, if there is something to say."""
        judged = verdict(seen)
        if judged.reason is not None:
            raise RunFailure(judged.reason, judged.message)
        return judged.notice
