"""Gitward's own git commands inside a sandbox: they read no configuration, attributes, grafts or replacements but our
own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from gitward.errors import GitwardError

ENVIRONMENT: Mapping[str, str] = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LFS_SKIP_SMUDGE": "1",
}
# What a repository's own configuration cannot say otherwise, because these come later.
OPTIONS = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.quotePath=false"),
    *("-c", "core.excludesFile=/dev/null"),
    *("-c", "core.attributesFile=/dev/null"),
    *("-c", "core.bigFileThreshold=8m"),  # a larger file is read in pieces, not held in memory
    *("-c", "gc.auto=0"),
    *("-c", "maintenance.auto=false"),
    *("-c", "advice.detachedHead=false"),
)
ANSWER_BYTES = 64 * 1024  # of an answer that is short by its nature
LISTING_BYTES = 32 * 1024 * 1024  # of names: some 400,000 files


class GitFailed(GitwardError):
    """Git could not do what it was asked for. The text is what it complained about."""

    def __init__(self, ended: CommandResult) -> None:
        super().__init__(ended.tail or f"git ended with exit code {ended.exit_code}")
        self.ended = ended


@dataclass(frozen=True, kw_only=True)
class CommandResult:
    """How a command ended."""

    exit_code: int
    output: bytes = b""  # of standard output, when it was captured
    tail: str = ""  # the last lines that it wrote to standard error, redacted
    complaint: str = ""  # the end of what it wrote to standard error, redacted, line by line

    @property
    def errors(self) -> tuple[str, ...]:
        """What git calls an error; it may end with 0 all the same."""
        return tuple(line.strip() for line in self.complaint.splitlines() if line.startswith("error:"))


class Runner(Protocol):
    """Runs commands in one sandbox, within the time that is left."""

    async def capture(
        self,
        argv: Sequence[str],
        *,
        limit: int,
        cwd: str,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
    ) -> CommandResult:
        """How the command ended, with at most `limit` bytes of output; RunFailure for more, or when time is over."""
        ...


@dataclass(frozen=True, kw_only=True)
class Git:
    """Git on one repository, seen from inside the sandbox of `runner`."""

    runner: Runner
    folder: str  # GIT_DIR
    tree: str | None = None  # GIT_WORK_TREE
    index: str | None = None  # GIT_INDEX_FILE
    more: Mapping[str, str] = field(default_factory=dict)  # variables

    def on(self, *, tree: str | None = None, index: str | None = None) -> Git:
        """The same repository with another tree, another index."""
        return replace(self, tree=tree or self.tree, index=index or self.index)

    def argv(self, *arguments: str) -> tuple[str, ...]:
        return ("git", *OPTIONS, *arguments)

    def environment(self) -> dict[str, str]:
        env = {**ENVIRONMENT, **self.more, "GIT_DIR": self.folder}
        if self.tree is not None:
            env["GIT_WORK_TREE"] = self.tree
        if self.index is not None:
            env["GIT_INDEX_FILE"] = self.index
        return env

    async def run(self, *arguments: str, stdin: bytes = b"", limit: int = ANSWER_BYTES) -> CommandResult:
        """However it ends."""
        return await self.runner.capture(
            self.argv(*arguments), limit=limit, cwd=self.tree or "/", env=self.environment(), stdin=stdin
        )

    async def do(self, *arguments: str, stdin: bytes = b"", limit: int = ANSWER_BYTES) -> bytes:
        """Its output. Raises GitFailed when it does not end with 0."""
        return (await self.hear(*arguments, stdin=stdin, limit=limit))[0]

    async def hear(self, *arguments: str, stdin: bytes = b"", limit: int = ANSWER_BYTES) -> tuple[bytes, str]:
        """Its output, and what it complained about all the same. Raises GitFailed when it does not end with 0."""
        ended = await self.run(*arguments, stdin=stdin, limit=limit)
        if ended.exit_code != 0:
            raise GitFailed(ended)
        return ended.output, ended.complaint

    async def succeeds(self, *arguments: str) -> bool:
        """Whether the answer of a question is yes: exit code 0, not 1. Raises GitFailed for any other."""
        ended = await self.run(*arguments)
        if ended.exit_code not in (0, 1):
            raise GitFailed(ended)
        return ended.exit_code == 0
