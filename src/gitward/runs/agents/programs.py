"""The agent of a run: its entry in the catalogue, and the folders with its program."""

from __future__ import annotations

from gitward.agents.catalogue import Agent
from gitward.agents.installed import Agents
from gitward.errors import Reason, RunFailure
from gitward.runs.context import Context
from gitward.sandboxes import Shown


def shown(context: Context) -> list[Shown]:
    """Folders of the host that the agent needs, those that there are. Blocks."""
    name = context.instruction.agent
    agents = None if name is None else context.attempt.parts.agents
    agent = None if agents is None or name is None else agents.get(name)
    if agents is None or agent is None:
        return []
    found = [each for each in agents.folders(agent) if each.host.is_dir()]
    return [Shown(host=each.host, inside=each.inside, is_shared=True) for each in found]


def usable(agents: Agents | None, name: str) -> Agent:
    """The entry. It was usable when the prompt was posted; that may be long ago. Blocks shortly.

    :raises RunFailure: `agent_unavailable`.
    """
    agent = None if agents is None else agents.get(name)
    if agents is None or agent is None:
        raise RunFailure(Reason.AGENT_UNAVAILABLE, f"This worker has no agent {name}; is GITWARD_AGENTS_FILE the same?")
    problem = agents.problem(agent)
    if problem is not None:
        raise RunFailure(Reason.AGENT_UNAVAILABLE, problem)
    return agent
