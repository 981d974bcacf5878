"""Each command has the time that is left: of the run, or of its step when that ends first."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import cast

import pytest

from gitward.errors import Reason, RunFailure
from gitward.runs.commands.output import OutputLog
from gitward.runs.commands.runner import CommandRunner, OutputTooLong
from gitward.sandboxes import Command, Completed, OnOutput, Sandbox, Stream
from gitward.sessions.model import StepName
from gitward.telemetry.redaction import Redactor


class Clockwork:
    """A sandbox whose commands take all the time that they are given."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def run(self, command: Command, on_output: OnOutput | None = None) -> Completed:
        del on_output
        self.seconds.append(command.timeout_seconds)
        return Completed(exit_code=143, timed_out=True, cancelled=False, seconds=0.0, limit=None)


def commands_of(sandbox: Clockwork, *, seconds: float) -> CommandRunner:
    class Silent:
        hold = None

    output = OutputLog(cast("object", Silent()), Redactor())  # type: ignore[arg-type]  # nothing is written
    return CommandRunner(cast(Sandbox, sandbox), output, deadline=time.monotonic() + seconds, seconds=seconds)


@pytest.mark.parametrize(
    ("run", "step", "message"),
    [
        (100.0, 7.0, "The step checkout took longer than its time limit of 7 s."),
        (5.0, 7.0, "The run took longer than its time limit of 5 s."),
    ],
)
async def test_the_limit_that_comes_first_ends_the_command_and_is_named(run: float, step: float, message: str) -> None:
    sandbox = Clockwork()
    commands = commands_of(sandbox, seconds=run)
    with commands.within(StepName.CHECKOUT, {StepName.CHECKOUT: step}), pytest.raises(RunFailure) as failure:
        await commands.capture(["git", "clone"], limit=10)
    assert (failure.value.reason, failure.value.message) == (Reason.TIMED_OUT, message)
    assert 0 < sandbox.seconds[0] <= min(run, step)


async def test_after_the_step_the_run_has_what_is_left() -> None:
    sandbox = Clockwork()
    commands = commands_of(sandbox, seconds=100.0)
    with commands.within(StepName.CHECKOUT, {StepName.CHECKOUT: 0.001}):
        pass
    with pytest.raises(RunFailure, match="The run took longer"):
        await commands.capture(["make"], limit=10)
    assert sandbox.seconds[0] > 50


class Chatterbox:
    """A sandbox whose command writes without an end, for as long as somebody listens."""

    async def run(self, command: Command, on_output: OnOutput | None = None) -> Completed:
        assert on_output is not None
        while True:
            await on_output(Stream.STDERR, b"x" * 10_000)
            await on_output(Stream.STDOUT, b"x" * 10)


async def test_a_command_that_writes_more_than_can_be_kept_is_not_listened_to_for_long() -> None:
    commands = commands_of(cast(Clockwork, Chatterbox()), seconds=100.0)
    with pytest.raises(OutputTooLong):
        await commands.capture(["git", "diff"], limit=100)


class Notes:
    """A sandbox that notes its commands."""

    def __init__(self) -> None:
        self.commands: list[Command] = []

    async def run(self, command: Command, on_output: OnOutput | None = None) -> Completed:
        del on_output
        self.commands.append(command)
        return Completed(exit_code=0, timed_out=False, cancelled=False, seconds=0.0, limit=None)


async def test_only_what_runs_no_foreign_code_is_in_series() -> None:
    """Neither what is run before or after such commands, nor a program of the run's environment among them."""

    async def nothing() -> AsyncIterator[bytes]:
        yield b""

    async def ignored(_stream: Stream, _piece: bytes) -> None:
        pass

    sandbox = Notes()
    commands = commands_of(cast(Clockwork, sandbox), seconds=100.0)
    await commands.capture(["make", "before"], limit=10)
    with commands.in_series():
        await commands.capture(["git", "status"], limit=10)
        await commands.attend(["agent"], ignored, source=nothing())
    await commands.capture(["make", "after"], limit=10)
    assert [command.argv[0] for command in sandbox.commands if command.in_series] == ["git"]
