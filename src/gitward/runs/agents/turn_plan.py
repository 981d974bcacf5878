"""How a turn begins: with the conversation that goes on, or with a digest of what happened before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from gitward.agents.archive import Archive
from gitward.agents.catalogue import Agent
from gitward.repositories.baseline import Baseline
from gitward.runs.agents import kept_work, memory
from gitward.runs.agents.briefing import brief
from gitward.runs.attempt import Attempt
from gitward.runs.commands.runner import CommandRunner
from gitward.runs.context import Context
from gitward.sessions import history


@dataclass(frozen=True, kw_only=True)
class TurnPlan:
    """One way to begin."""

    agent: Agent
    attempt: Attempt
    archive: Archive | None  # the conversation that goes on
    brief: Callable[..., str]  # by whether it is resumed

    @property
    def briefing(self) -> str:
        return self.brief(resumed=self.archive is not None)


async def make(context: Context, commands: CommandRunner, noted: Baseline, agent: Agent) -> TurnPlan:
    """Brings what was kept into the sandbox, and says so to the agent. Also to the log, when it does not remember."""
    attempt = context.attempt
    lost = await kept_work.lay_back(context, commands, noted) if attempt.run.attempt > 1 else None
    offered = await kept_work.offer(context, commands)
    past = await attempt.write(lambda tx: history.past(tx, attempt.run))
    archive = await memory.find(context, agent)
    telling = partial(brief, run=attempt.run, noted=noted, past=past, lost=lost, offered=offered)
    if archive is None and any(each.started and each.run.instruction.agent == agent.name for each in past):
        await _tell(attempt, agent, "was not kept")
    return TurnPlan(agent=agent, attempt=attempt, archive=archive, brief=telling)


async def without_conversation(plan: TurnPlan, said: str) -> TurnPlan:
    """When it could not be resumed."""
    why = " ".join(said.split())[:300].rstrip(".")
    await _tell(plan.attempt, plan.agent, "could not be resumed" + (f" ({why})" if why else ""))
    return TurnPlan(agent=plan.agent, attempt=plan.attempt, archive=None, brief=plan.brief)


async def _tell(attempt: Attempt, agent: Agent, why: str) -> None:
    await attempt.notice(
        f"The conversation with {agent.title} {why}: a new one begins, with a digest of what happened before."
    )
