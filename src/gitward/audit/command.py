"""`gitward audit-token`: the canary proof, on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys

from gitward.audit import report
from gitward.audit.live import announcement
from gitward.audit.proof import audit
from gitward.audit.stage import Stage, demo
from gitward.errors import EXIT_CODE, Exit


def run_on_demo(*, login_mode: bool, as_json: bool) -> int:
    """The exit code: 0 when the token is nowhere that it must not be."""
    _print("Starting a stand-in GitHub and the service ...")
    return _run(demo(login_mode=login_mode), as_json=as_json)


def run_on(stage: Stage, *, asks: bool, as_json: bool) -> int:
    """The same beside a live service. `asks`: a person at the terminal may say no."""
    for line in announcement(stage):
        _print(line)
    if asks and sys.stdin.isatty() and input("Go on? [y/N] ").strip().lower() not in {"y", "yes"}:
        return EXIT_CODE[Exit.CANCELLED]
    return _run(contextlib.nullcontext(stage), as_json=as_json)


def _run(stage: contextlib.AbstractAsyncContextManager[Stage], *, as_json: bool) -> int:
    try:
        return asyncio.run(_audit(stage, as_json=as_json))
    except asyncio.CancelledError:
        _print("The audit was stopped.")
        return EXIT_CODE[Exit.CANCELLED]


async def _audit(where: contextlib.AbstractAsyncContextManager[Stage], *, as_json: bool) -> int:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # else a service would be left behind
    async with where as stage:
        outcome = await audit(stage, _print)
    table = report.rows(outcome)
    if as_json:
        print(json.dumps(report.document(outcome, table), indent=2))
    else:
        print("\n".join(report.text(outcome, table)))
    return EXIT_CODE[Exit.SUCCEEDED if report.passes(outcome, table) else Exit.FAILED]


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
