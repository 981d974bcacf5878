"""Which agents can be used on this machine: where their programs lie, and whether there is a key."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gitward.agents.agents_file import Catalogue
from gitward.agents.catalogue import NODE, NODE_DIR, Agent, AgentStart

CURRENT = "current"  # a link to the version that is complete; it is put in place last


@dataclass(frozen=True, kw_only=True)
class ProgramFolder:
    """A folder of the host that an agent's sandbox sees, read-only; everybody may read it."""

    host: Path
    inside: str


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One agent as callers see it."""

    name: str
    title: str
    version: str | None
    model: str | None  # when none is named; None: the agent's own choice
    ready: bool | None  # None: only a worker on another machine can say
    reason: str | None = None  # why it is not ready, and what to do

    def elsewhere(self) -> Offer:
        """As a machine sees it that has no worker."""
        return replace(self, ready=None, reason=None)


class Agents:
    """The agents of this server. What is installed later is seen without a restart."""

    def __init__(self, catalogue: Catalogue, programs: Path, keys: Collection[tuple[str, int]] = ()) -> None:
        """:param programs: where they are installed.
        :param keys: host and port of each place for which the broker has a key.
        """
        self._catalogue = catalogue
        self._programs = programs
        self._keys = frozenset(keys)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._catalogue.agents)

    def get(self, name: str) -> Agent | None:
        return self._catalogue.agents.get(name)

    @property
    def named_default(self) -> str | None:
        """The agent that the operator's file names for prompts that name none."""
        return self._catalogue.default

    def default(self) -> str | None:
        """The agent of a prompt that names none: the file's, else the only one that is ready. Blocks shortly."""
        if self._catalogue.default is not None:
            return self._catalogue.default
        ready = [agent.name for agent in self._catalogue.agents.values() if self.problem(agent) is None]
        return ready[0] if len(ready) == 1 else None

    def offers(self) -> list[Offer]:
        """All of them. Blocks shortly: it looks at folders."""
        return [self._offer(agent) for agent in self._catalogue.agents.values()]

    def _offer(self, agent: Agent) -> Offer:
        reason = self.problem(agent)
        return Offer(
            name=agent.name,
            title=agent.title,
            version=agent.version,
            model=agent.model,
            ready=reason is None,
            reason=reason,
        )

    def problem(self, agent: Agent) -> str | None:
        """Why it cannot be used now, with what to do; None when it can. Blocks shortly: it looks at folders."""
        return self.missing_program(agent) or self.missing_key(agent)

    def missing_program(self, agent: Agent) -> str | None:
        for folder in self.folders(agent):
            if not folder.host.is_dir():
                return self._remedy(agent, folder)
        return None

    def _remedy(self, agent: Agent, folder: ProgramFolder) -> str:
        if agent.program is not None and folder.inside == agent.program_dir:
            return f"{agent.title} is not at {agent.program}, the path in GITWARD_AGENTS_FILE."
        name = agent.name if agent.package is not None else NODE
        return f"{agent.title} is not installed; run: gitward agents install {name}"

    def missing_key(self, agent: Agent) -> str | None:
        if not agent.hosts or any(host.place in self._keys for host in agent.hosts):
            return None
        variables = [host.variable for host in agent.hosts if host.header]
        if variables:
            return f"{agent.title} has no key: set {' or '.join(variables)} and start Gitward again."
        hosts = " or ".join(host.host for host in agent.hosts)
        return f"{agent.title} has no key: name {hosts} in GITWARD_INJECT and start Gitward again."

    def folders(self, agent: Agent) -> Sequence[ProgramFolder]:
        """What its sandbox must see; for a path that is a link now, where it leads now."""
        found: list[ProgramFolder] = []
        if agent.program is not None:
            found.append(ProgramFolder(host=Path(agent.program), inside=agent.program_dir))
        elif agent.package is not None:
            found.append(ProgramFolder(host=self._current(agent.name), inside=agent.program_dir))
        if agent.needs_node:
            found.append(ProgramFolder(host=self._current(NODE), inside=NODE_DIR))
        return found

    def _current(self, name: str) -> Path:
        """Followed once, so that an installation meanwhile changes nothing for a sandbox that is open."""
        return (self._programs / name / CURRENT).resolve()

    def start(self, agent: Agent, *, model: str | None) -> AgentStart:
        """As `Agent.start`, with the keys that are there."""
        return agent.start(model=model, keys=self._keys)
