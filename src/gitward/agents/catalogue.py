"""What an agent is: how a program that speaks the Agent Client Protocol is installed, started, told and kept.

Values alone; nothing here reads a file or starts anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gitward.agents.model_hosts import PLACEHOLDER, ModelHost
from gitward.errors import GitwardError

AGENTS_DIR = "/workspace/agent"  # inside: an agent's own files, made anew for each run
PROGRAMS_DIR = "/gitward/agents"  # inside: what is installed, read-only
NODE = "node"  # no agent has this name
NODE_DIR = f"{PROGRAMS_DIR}/{NODE}"
NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@\[\]()|$+-]{0,127}")
MODEL_FORM = "must be a model's name, such as claude-sonnet-4-5 or anthropic/claude-sonnet-4-5"
_MODEL_MARK = "{model}"


class NotAModel(GitwardError, ValueError):
    """The text goes on after the field's name."""


class ModelSetting(StrEnum):
    """How an agent is told its model."""

    START = "start"  # by the variables, files and arguments that hold {model}
    OPTION = "option"  # by session/set_config_option, after each new and each resume
    NONE = "none"  # it has one model


@dataclass(frozen=True, kw_only=True)
class Package:
    """Where a program comes from: one package of npm, locked with all that it needs."""

    name: str
    version: str
    machines: tuple[str, ...] = ("x86_64", "aarch64")  # for which its lock has programs, as `uname -m` calls them


@dataclass(frozen=True, kw_only=True)
class AgentFile:
    """A file that is written before each start."""

    path: str  # below the agent's folder
    text: str  # with the marks of `Agent`; a line with {model} is left out when no model is named


@dataclass(frozen=True, kw_only=True)
class AgentStart:
    """What one run does to start an agent. All paths are inside the sandbox."""

    folder: str  # the agent's own, below AGENTS_DIR
    folders: tuple[str, ...]  # to be made before the start, `folder` first
    files: Mapping[str, str]  # absolute path to text; mode 0600
    argv: tuple[str, ...]
    env: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Agent:
    """One entry. In `argv`, `env` and `files` these marks are replaced: {folder}, the agent's own folder inside;
    {program}, where its program is seen; {node}, the Node.js that is installed beside it; {model}."""

    name: str  # "claude"
    title: str  # "Claude Code"
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)  # a variable with {model} is left out without a model
    folders: tuple[str, ...] = ()  # below its own folder, made before each start
    files: tuple[AgentFile, ...] = ()
    hosts: tuple[ModelHost, ...] = ()  # it needs a key for one of them; none: it needs no key
    conversation: tuple[str, ...] = ()  # globs below its folder: what is kept between runs, and nothing else
    # How long these files must rest after a turn before the program is ended: some write their last answer only after
    # they said that they are done, and do not wait for it when they end.
    quiet_seconds: float = 0.3
    end_seconds: float = 1.0  # for the program to end by itself, when its turn is over and its input at its end
    mode: str | None = None  # for session/set_mode after each new and each resume, so that it asks nobody
    model_setting: ModelSetting = ModelSetting.NONE
    model: str | None = None  # when the caller names none; None: the agent's own choice
    package: Package | None = None  # of npm, installed by `gitward agents install`
    needs_node: bool = False
    program: str | None = None  # the host's folder with the program, when the operator installed it

    @property
    def folder(self) -> str:
        return f"{AGENTS_DIR}/{self.name}"

    @property
    def program_dir(self) -> str:
        """Where its program is seen inside."""
        return f"{PROGRAMS_DIR}/{self.name}"

    @property
    def version(self) -> str | None:
        return self.package.version if self.package is not None else None

    def start(self, *, model: str | None = None, keys: Collection[tuple[str, int]] = ()) -> AgentStart:
        """How it is started for one run.

        :param model: None leaves it to the entry, and then to the agent.
        :param keys: host and port of each place for which the broker has a key. Only of these the variable is set: an
            agent that finds a provider's variable believes that it may ask there.
        :raises NotAModel: what no model can be called.
        """
        model = check_model(model or self.model)
        marks = self._marks(model)
        env = {host.variable: PLACEHOLDER for host in self.hosts if host.variable and host.place in keys}
        env |= {name: _filled(text, marks) for name, text in self.env.items() if _is_meant(text, marks)}
        return AgentStart(
            folder=self.folder,
            folders=(self.folder, *(f"{self.folder}/{path}" for path in self.folders)),
            files={f"{self.folder}/{each.path}": _filled_lines(each.text, marks) for each in self.files},
            argv=tuple(_filled(part, marks) for part in self.argv if _is_meant(part, marks)),
            env=env,
        )

    def _marks(self, model: str | None) -> dict[str, str]:
        marks = {"{folder}": self.folder, "{program}": self.program_dir, "{node}": f"{NODE_DIR}/bin/node"}
        return marks if model is None else {**marks, _MODEL_MARK: model}


def check_model(model: str | None) -> str | None:
    """:raises NotAModel: what no model can be called."""
    if model is not None and not MODEL.fullmatch(model):
        raise NotAModel(MODEL_FORM)
    return model


def _is_meant(text: str, marks: Mapping[str, str]) -> bool:
    return _MODEL_MARK not in text or _MODEL_MARK in marks


def _filled(text: str, marks: Mapping[str, str]) -> str:
    for mark, value in marks.items():
        text = text.replace(mark, value)
    return text


def _filled_lines(text: str, marks: Mapping[str, str]) -> str:
    return "".join(_kept_lines(text, marks))


def _kept_lines(text: str, marks: Mapping[str, str]) -> Iterator[str]:
    """In JSON and TOML strings the values need escapes; what a mark stands for needs none in them."""
    quoted = {mark: json.dumps(value)[1:-1] for mark, value in marks.items()}
    for line in text.splitlines(keepends=True):
        if _is_meant(line, marks):
            yield _filled(line, quoted)
