"""`python -m benchmarks.watched FILE serve`: Gitward, with a line in FILE for each thing that a run waits for.

A line is a JSON list: kind, name, when it began and ended by the machine's monotonic clock.
"""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from gitward.broker.client.brokers import Brokers
from gitward.broker.client.open_grant import OpenGrant
from gitward.cli.main import main
from gitward.github.client import Connection
from gitward.runs.attempt import Attempt
from gitward.runs.checkpoints import Checkpoint
from gitward.sandboxes.engine import BubblewrapEngine
from gitward.sandboxes.sandbox import BubblewrapSandbox
from gitward.store.database import Database

Name = Callable[..., str]


def watch(owner: Any, method: str, kind: str, name: Name, file: Any) -> None:
    """Has every call of an asynchronous method leave a line."""
    original = getattr(owner, method)

    @functools.wraps(original)
    async def watched(*arguments: Any, **more: Any) -> Any:
        began = time.monotonic()
        try:
            return await original(*arguments, **more)
        finally:
            line = json.dumps([kind, name(*arguments, **more), began, time.monotonic()])
            file.write(line + "\n")
            file.flush()

    setattr(owner, method, watched)


def _command(_sandbox: Any, job: Any, *_: Any, **__: Any) -> str:
    command = job.command
    words = [word for word in command.argv if len(word) < 40 and "=" not in word and word not in ("-c", "-C")]
    return " ".join(words[:4]) + ("" if command.in_series else ", alone")


def _caller(_database: Any, call: Any, **_: Any) -> str:
    named = getattr(call, "func", call)
    return str(named.__qualname__).replace(".<locals>.<lambda>", "")


def _watch_all(file: Any) -> None:
    watch(Checkpoint, "once", "checkpoint", lambda checkpoint, *_, **__: checkpoint.name, file)
    watch(Brokers, "open", "grant", lambda *_, **__: "fork and tell a broker", file)
    for name in ("attach", "detach", "narrow", "close"):
        watch(OpenGrant, name, "grant", lambda *_, done=name, **__: done, file)
    watch(BubblewrapEngine, "open", "sandbox", lambda *_, name, **__: f"open {name.partition('_')[0]}", file)
    watch(BubblewrapSandbox, "close", "sandbox", lambda box: f"close {box.name.partition('_')[0]}", file)
    watch(BubblewrapSandbox, "_prepare", "sandbox", lambda *_: "make one ready", file)
    watch(BubblewrapSandbox, "_run_to_its_end", "command", _command, file)
    watch(Connection, "exchange", "GitHub", lambda _, method, path, *__, **___: f"{method} {path}", file)
    watch(Connection, "may_push", "GitHub", lambda *_: "may it push", file)
    watch(Database, "write", "database", _caller, file)
    watch(Database, "read", "database", _caller, file)
    watch(Attempt, "write", "attempt", lambda *_, **__: "a fenced write", file)


if __name__ == "__main__":
    _watch_all(open(sys.argv.pop(1), "a", encoding="utf-8"))  # noqa: SIM115  # for as long as the process lives
    main()
