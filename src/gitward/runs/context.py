"""What the steps of one attempt share."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gitward.github.preflight import Facts
from gitward.repositories.left_commits import Author
from gitward.repositories.remote import Remote
from gitward.runs.access.run_access import RunAccess
from gitward.runs.attempt import Attempt
from gitward.runs.commands.output import OutputLog
from gitward.runs.commands.runner import CommandRunner
from gitward.sandboxes import Sandbox
from gitward.sessions.model import Instruction


@dataclass(frozen=True, kw_only=True)
class Context:
    """One attempt, its facts and its clock."""

    attempt: Attempt
    facts: Facts
    access: RunAccess
    output: OutputLog
    seconds: float  # that the run may take
    began: float = field(default_factory=time.monotonic)

    @property
    def instruction(self) -> Instruction:
        return self.attempt.run.instruction

    @property
    def workspace(self) -> Path:
        return self.attempt.workspace

    @property
    def seconds_left(self) -> float:
        return max(0.0, self.began + self.seconds - time.monotonic())

    @property
    def url(self) -> str:
        """Of the repository, as the sandbox sees it."""
        return f"{self.attempt.services.settings.server_url}/{self.facts.repository}.git"

    @property
    def remote(self) -> Remote:
        """The same, with the run credential: git of ours never has the token."""
        return Remote(url=self.url, credential=self.access.grant.credential)

    @property
    def author(self) -> Author:
        """Who commits what the command left uncommitted."""
        settings, identity = self.attempt.services.settings, self.facts.identity
        return Author(name=settings.commit_name or identity.name, email=settings.commit_email or identity.email)

    def commands(self, sandbox: Sandbox, *, seconds: float | None = None, in_series: bool = False) -> CommandRunner:
        """Commands in a sandbox, within the run's time or a time of their own.

        :param in_series: none of them runs foreign code.
        """
        deadline = self.began + self.seconds if seconds is None else time.monotonic() + seconds
        limit = seconds or self.seconds
        return CommandRunner(sandbox, self.output, deadline=deadline, seconds=limit, in_series=in_series)


def trailers(context: Context) -> Sequence[str]:
    """Those of every commit that the job makes."""
    agent = context.attempt.run.agent
    told = [] if agent is None else [f"Gitward-Agent: {agent.name}"]
    told += [f"Gitward-Model: {agent.model}"] if agent is not None and agent.model is not None else []
    return (f"Gitward-Session: {context.attempt.session.id}", *told)
