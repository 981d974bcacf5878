"""`scripts/fuzz`: Schemathesis for minutes or hours against a service of its own, with new random numbers each time."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from fuzzing import Findings, fuzz
from rig import rig

# Half of the time each: single requests, then sequences of them.
HALVES = {"requests": "examples,coverage,fuzzing", "sequences": "stateful"}
SLACK_SECONDS = 300.0  # for what Schemathesis does before and after


async def main(minutes: float) -> int:
    """The exit status: 0 when nothing was found."""
    seconds = max(10, round(minutes * 30))
    found = [await part(name, phases, seconds) for name, phases in HALVES.items()]
    return max(each.exit_status for each in found)


async def part(name: str, phases: str, seconds: int) -> Findings:
    print(f"fuzz: {name}, {seconds} s", flush=True)
    with tempfile.TemporaryDirectory(prefix="gitward-fuzz-") as folder:
        async with rig(GITHUB_TOKEN="") as service:
            limits = ("--phases", phases, "--max-time", str(seconds))
            findings = await fuzz(service, Path(folder), *limits, seconds=seconds + SLACK_SECONDS)
    print(findings.output)
    for operation, statuses in sorted(findings.answers.items()):
        if set(statuses) == {405}:  # a method that is not described
            continue
        counted = ", ".join(f"{status}: {number}" for status, number in sorted(statuses.items()))
        print(f"fuzz: {operation}  {counted}")
    return findings


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("minutes", type=float, nargs="?", default=10.0, help="in all (default: 10)")
    sys.exit(asyncio.run(main(parser.parse_args().minutes)))
