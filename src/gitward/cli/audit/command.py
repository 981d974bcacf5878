"""`gitward audit-token`: the canary proof, on this machine."""

from __future__ import annotations

import asyncio
import json
import sys

from gitward.cli.audit import report
from gitward.cli.audit.proof import audit
from gitward.cli.audit.stage import demo
from gitward.errors import EXIT_CODE, Exit


def run(*, login_mode: bool, as_json: bool) -> int:
    """The exit code: 0 when the token is nowhere that it must not be."""
    return asyncio.run(_run(login_mode=login_mode, as_json=as_json))


async def _run(*, login_mode: bool, as_json: bool) -> int:
    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    say("Starting a stand-in GitHub and the service ...")
    async with demo(login_mode=login_mode) as stage:
        outcome = await audit(stage, say)
    table = report.rows(outcome)
    if as_json:
        print(json.dumps(report.document(outcome, table), indent=2))
    else:
        print("\n".join(report.text(outcome, table)))
    return EXIT_CODE[Exit.SUCCEEDED if report.passes(outcome, table) else Exit.FAILED]
