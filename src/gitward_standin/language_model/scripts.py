"""What the stand-in does with a question: the steps of a script, spelled in the tools that the agent offers."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gitward_standin.language_model.questions import Question

SIDE_ANSWER = "A small change"


@dataclass(frozen=True, kw_only=True)
class Say:
    """Answers, and so ends the turn."""

    text: str
    is_refusal: bool = False


@dataclass(frozen=True, kw_only=True)
class Shell:
    """Runs a command by the agent's tool for that."""

    command: str


@dataclass(frozen=True, kw_only=True)
class Write:
    """Writes a file by the agent's tool for that, or by a command where there is none."""

    path: str  # absolute
    text: str


@dataclass(frozen=True, kw_only=True)
class Delegate:
    """Gives a task to an agent below, by the agent's tool for that."""

    prompt: str


Step = Say | Shell | Write | Delegate
Script = Callable[[Question], Step]


@dataclass(frozen=True, kw_only=True)
class Call:
    """A tool call, as it goes to the agent."""

    name: str
    arguments: Mapping[str, Any] | str  # a text for a tool that takes one
    namespace: str | None = None  # of the tool, where an agent has such

    @property
    def text(self) -> str:
        return self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments)


def edit_and_answer(folder: str, *, file: str = "NOTES.md", text: str = "Written by an agent.\n") -> Script:
    """Looks around, writes a file, and says what it did."""

    def script(question: Question) -> Step:
        match question.done:
            case 0:
                return Shell(command="git status --short && ls")
            case 1:
                return Write(path=f"{folder}/{file}", text=text)
            case _:
                return Say(text=f"Add {file}\n\nI looked around and added {file}, as you asked.")

    return script


def endless(question: Question) -> Step:
    """Never comes to an end."""
    return Shell(command=f"echo {question.done}")


def side_answer(question: Question) -> Say:
    """To what is asked beside the work, in the form that is wanted."""
    if not question.form:
        return Say(text=SIDE_ANSWER)
    return Say(text=json.dumps(dict.fromkeys(question.form, SIDE_ANSWER)))


_SHELLS: Mapping[str, Callable[[str], Mapping[str, Any]]] = {
    "Bash": lambda command: {"command": command, "description": "Runs a command"},
    "bash": lambda command: {"command": command, "description": "Runs a command"},
    "exec_command": lambda command: {"cmd": command, "yield_time_ms": 30000},  # its longest wait
    "shell_command": lambda command: {"command": command, "timeout_ms": 600000},
    "shell": lambda command: {"command": ["bash", "-c", command]},
    "run_shell_command": lambda command: {"command": command, "is_background": False, "description": "Runs a command"},
}
_WRITERS: Mapping[str, Callable[[Write], Mapping[str, Any]]] = {
    "Write": lambda write: {"file_path": write.path, "content": write.text},
    "write": lambda write: {"filePath": write.path, "content": write.text},
    "write_file": lambda write: {"file_path": write.path, "content": write.text},
}
_DELEGATES: Mapping[str, str] = {"Task": "general-purpose", "Agent": "general-purpose", "task": "general"}
_PATCH, _PROGRAM = "apply_patch", "exec"
# Codex answers after ten seconds, whether the command has ended or not. A model asks again; so does this.
_UNTIL_IT_ENDS = """// @exec: {"yield_time_ms": 600000}
let ran = await tools.exec_command({cmd: %s, yield_time_ms: 30000});
text(ran);
while (ran.session_id != null) {
  ran = await tools.write_stdin({session_id: ran.session_id, chars: "", yield_time_ms: 30000});
  text(ran);
}
"""


class NoSuchTool(LookupError):
    """The agent offers no tool by which the step could be done."""


def call_of(step: Shell | Write | Delegate, question: Question) -> Call:
    """Raises NoSuchTool."""
    if isinstance(step, Delegate):
        return _delegation(step, question)
    if _PROGRAM in question.freeform:
        return _program(step)
    if isinstance(step, Shell):
        return _shell(step.command, question)
    for name, arguments in _WRITERS.items():
        if name in question.tools:
            return Call(name=name, arguments=arguments(step))
    if _PATCH in question.freeform:
        return Call(name=_PATCH, arguments=_patch(step))
    return _shell(f"printf %s {shlex.quote(step.text)} > {shlex.quote(step.path)}", question)


def _delegation(step: Delegate, question: Question) -> Call:
    for name, kind in _DELEGATES.items():
        if name in question.tools:
            arguments = {"description": "A small task", "prompt": step.prompt, "subagent_type": kind}
            return Call(name=name, arguments=arguments)
    raise NoSuchTool(f"none of {', '.join(_DELEGATES)} is among {', '.join(question.tools)}")


def _program(step: Shell | Write) -> Call:
    """For an agent whose models call tools by a program in JavaScript: newer models of Codex."""
    if isinstance(step, Shell):
        text = _UNTIL_IT_ENDS % json.dumps(step.command)
    else:
        text = f"text(await tools.apply_patch({json.dumps(_patch(step))}))"
    return Call(name=_PROGRAM, namespace="functions", arguments=text)


def _shell(command: str, question: Question) -> Call:
    for name, arguments in _SHELLS.items():
        if name in question.tools:
            return Call(name=name, arguments=arguments(command))
    raise NoSuchTool(f"none of {', '.join(_SHELLS)} is among {', '.join(question.tools)}")


def _patch(write: Write) -> str:
    lines = "".join(f"+{line}\n" for line in write.text.splitlines())
    return f"*** Begin Patch\n*** Add File: {write.path}\n{lines}*** End Patch\n"
