"""GITWARD_AGENTS_FILE: agents beside the built-in ones, for any program that speaks the Agent Client Protocol.

default = "qwen"                      # the agent of a prompt that names none

[agents.qwen]
title = "Qwen Code"
program = "/opt/qwen"                 # a folder of this machine, seen inside as {program}
argv = ["{node}", "{program}/node_modules/@qwen-code/qwen-code/cli.js", "--acp"]
hosts = ["api.openai.com"]            # it needs a key for one of them
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from gitward.agents.built_in import BUILT_IN
from gitward.agents.catalogue import MODEL, MODEL_FORM, NAME, NODE, Agent, AgentFile, ModelSetting
from gitward.agents.model_hosts import HTTPS, KNOWN, ModelHost
from gitward.errors import GitwardError

_MOST_BYTES = 1024 * 1024
_TOP = ("default", "agents")
_AGENT = (
    "title",
    "argv",
    "env",
    "folders",
    "files",
    "hosts",
    "conversation",
    "mode",
    "model",
    "model_setting",
    "needs_node",
    "program",
)
_HOST = ("host", "port", "variable")


class WrongAgentsFile(GitwardError):
    """`problems` has one sentence for each thing that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """All agents of a server, by name."""

    agents: Mapping[str, Agent] = field(default_factory=lambda: dict(BUILT_IN))
    default: str | None = None  # of a prompt that names none; None: the only one that is ready


def read_catalogue(path: Path | None) -> Catalogue:
    """The built-in agents with those of the file; one with a built-in's name takes its place. Blocks on a small file.

    :raises WrongAgentsFile: it cannot be read or understood.
    """
    if path is None:
        return Catalogue()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WrongAgentsFile([f"cannot be read ({type(error).__name__})"]) from None
    if len(content) > _MOST_BYTES:
        raise WrongAgentsFile([f"is longer than {_MOST_BYTES} bytes"])
    try:
        document = tomllib.loads(content.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise WrongAgentsFile([f"is not TOML: {error}"]) from None
    return parse_catalogue(document)


def parse_catalogue(document: Mapping[str, Any]) -> Catalogue:
    """:raises WrongAgentsFile"""
    problems = _unknown(document, _TOP, "the file")
    tables = document.get("agents", {})
    if not isinstance(tables, dict):
        raise WrongAgentsFile([*problems, "`agents` must be a table for each agent, such as [agents.qwen]"])
    agents = dict(BUILT_IN)
    for name, table in tables.items():
        reader = _Reader(f"[agents.{name}]", table)
        agents[name] = _agent(name, reader)
        problems += reader.problems
    default = document.get("default")
    if default is not None and not (isinstance(default, str) and default in agents):
        problems.append(f"`default` must name an agent: {', '.join(sorted(agents))}")
    if problems:
        raise WrongAgentsFile(problems)
    return Catalogue(agents=agents, default=default)


def _agent(name: str, read: _Reader) -> Agent:
    if not NAME.fullmatch(name) or name == NODE:
        read.wrong("", f"must have a name of lower-case letters, digits and hyphens, other than {NODE}")
    read.known(_AGENT)
    return Agent(
        name=name,
        title=read.line("title", name),
        argv=read.lines("argv", at_least=1),
        env=read.env("env"),
        folders=read.paths("folders"),
        files=read.files("files"),
        hosts=read.hosts("hosts"),
        conversation=read.paths("conversation"),
        mode=read.line("mode", "") or None,
        model_setting=read.model_setting("model_setting"),
        model=read.model("model"),
        needs_node=read.flag("needs_node"),
        program=read.program("program"),
    )


class _Reader:
    """Reads one table. What is wrong is collected, and a harmless value taken in its place."""

    def __init__(self, where: str, table: object) -> None:
        self.problems: list[str] = []
        self._where = where
        self._table: dict[str, Any] = table if isinstance(table, dict) else {}
        if not isinstance(table, dict):
            self.wrong("", "must be a table")

    def wrong(self, key: str, what: str) -> None:
        self.problems.append(f"{self._where} {key}{' ' if key else ''}{what}")

    def known(self, keys: Collection[str]) -> None:
        self.problems += _unknown(self._table, keys, self._where)

    def line(self, key: str, default: str) -> str:
        value = self._table.get(key, default)
        if not isinstance(value, str) or not value.isprintable() or len(value) > 200:
            self.wrong(key, "must be a short text of one line")
            return default
        return value

    def lines(self, key: str, *, at_least: int = 0) -> tuple[str, ...]:
        value = self._table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(each, str) and "\0" not in each for each in value):
            self.wrong(key, "must be a list of texts")
            return ()
        if len(value) < at_least or (at_least and not value[0]):
            self.wrong(key, "must name a program, and its arguments one by one")
        return tuple(value)

    def env(self, key: str) -> dict[str, str]:
        value = self._table.get(key, {})
        if not isinstance(value, dict) or not all(
            _is_text(text) and _is_variable(name) for name, text in value.items()
        ):
            self.wrong(key, "must be a table of variables and their texts")
            return {}
        return dict(value)

    def paths(self, key: str) -> tuple[str, ...]:
        value = self.lines(key)
        for each in value:
            if not _is_below(each):
                self.wrong(key, "must have paths below the agent's folder, without ..")
        return value

    def files(self, key: str) -> tuple[AgentFile, ...]:
        value = self._table.get(key, {})
        if not isinstance(value, dict) or not all(_is_text(text) and _is_below(path) for path, text in value.items()):
            self.wrong(key, "must be a table of paths below the agent's folder, and the files' texts")
            return ()
        return tuple(AgentFile(path=path, text=text) for path, text in value.items())

    def hosts(self, key: str) -> tuple[ModelHost, ...]:
        value = self._table.get(key, [])
        if not isinstance(value, list):
            self.wrong(key, 'must be a list such as ["api.openai.com"]')
            return ()
        found = [self._host(key, {"host": each} if isinstance(each, str) else each) for each in value]
        return tuple(each for each in found if each is not None)

    def _host(self, key: str, entry: Any) -> ModelHost | None:
        known = {each.place: each for each in KNOWN}
        match entry:
            case {"host": str(host)} if set(entry) <= set(_HOST) and host:
                port, variable = entry.get("port", HTTPS), entry.get("variable", "")
                if isinstance(port, int) and 0 < port < 65536 and (variable == "" or _is_variable(variable)):
                    place = (host.lower(), port)
                    standard = known.get(place, ModelHost(host=place[0], port=port))
                    return standard if not variable else _renamed(standard, variable)
        self.wrong(key, 'must have entries such as "api.openai.com" or { host = "llm.example", variable = "LLM_KEY" }')
        return None

    def model_setting(self, key: str) -> ModelSetting:
        value = self._table.get(key, ModelSetting.NONE.value)
        if value not in {each.value for each in ModelSetting}:
            self.wrong(key, f"must be one of {', '.join(each.value for each in ModelSetting)}")
            return ModelSetting.NONE
        return ModelSetting(value)

    def model(self, key: str) -> str | None:
        value = self._table.get(key)
        if value is not None and not (isinstance(value, str) and MODEL.fullmatch(value)):
            self.wrong(key, MODEL_FORM)
            return None
        return value

    def flag(self, key: str) -> bool:
        value = self._table.get(key, False)
        if not isinstance(value, bool):
            self.wrong(key, "must be true or false")
            return False
        return value

    def program(self, key: str) -> str | None:
        value = self._table.get(key)
        if value is not None and not (isinstance(value, str) and value.startswith("/") and "\0" not in value):
            self.wrong(key, "must be the absolute path of a folder on this machine")
            return None
        return value


def _renamed(host: ModelHost, variable: str) -> ModelHost:
    """The agent wants the key under a name of its own. Whose key it is, the operator's own variable or setting says."""
    return ModelHost(
        host=host.host, port=host.port, variable=variable, header=host.header, prefix=host.prefix, paths=host.paths
    )


def _unknown(table: Mapping[str, Any], known: Collection[str], where: str) -> list[str]:
    return [f"{where} has no key {name!r}; there are {', '.join(known)}" for name in table if name not in known]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_variable(name: object) -> bool:
    return isinstance(name, str) and name.isascii() and name.isidentifier()


def _is_below(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts and "\0" not in path
