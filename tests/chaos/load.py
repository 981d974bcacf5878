"""What the sessions are to do, and how each must end."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Expected:
    """One session: its runs' commands, and what must be true when all of them have ended."""

    name: str
    commands: tuple[str, ...]
    setup: str | None = None  # before each command; what it leaves is not in the branch
    files: dict[str, str] = field(default_factory=dict)  # of the branch, beyond the target's
    states: tuple[str, ...]  # of its runs, in their order
    cancels: bool = False  # its caller cancels it while it runs

    @property
    def changes(self) -> int:
        """How many of its runs push a commit."""
        return len(self.files)


def sessions(number: int, *, seed: int) -> list[Expected]:
    """A mixture, the same for the same seed. Commands are repeatable, as at-least-once demands."""
    chance = random.Random(seed)
    makers = itertools.cycle((_change, _two_runs, _change, _nothing, _change, _failing, _change, _cancelled))
    return [maker(f"s{index}", chance.uniform(0.3, 1.5)) for index, maker in zip(range(number), makers, strict=False)]


def _write(name: str, text: str, seconds: float) -> str:
    return f"sleep {seconds:.2f}; printf '%s\\n' {text} > {name}"


def _setup(seconds: float) -> str:
    return f"sleep {seconds:.2f}; echo ready > ready.txt"


def _change(name: str, seconds: float) -> Expected:
    file = f"{name}.txt"
    return Expected(
        name=name,
        commands=(_write(file, name, seconds),),
        setup=_setup(seconds),
        files={file: f"{name}\n"},
        states=("succeeded",),
    )


def _two_runs(name: str, seconds: float) -> Expected:
    """The second stands on what the first has pushed."""
    first, second = f"{name}-1.txt", f"{name}-2.txt"
    return Expected(
        name=name,
        commands=(
            _write(first, name, seconds),
            f'test "$(cat {first})" = {name} && {_write(second, name, seconds)}',
        ),
        setup=_setup(seconds),
        files={first: f"{name}\n", second: f"{name}\n"},
        states=("succeeded", "succeeded"),
    )


def _nothing(name: str, seconds: float) -> Expected:
    return Expected(name=name, commands=(f"sleep {seconds:.2f}",), states=("succeeded",))


def _failing(name: str, seconds: float) -> Expected:
    return Expected(name=name, commands=(f"sleep {seconds:.2f}; exit 3",), states=("failed",))


def _cancelled(name: str, seconds: float) -> Expected:
    return Expected(name=name, commands=("sleep 600",), states=("cancelled",), cancels=True)
