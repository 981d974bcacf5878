"""Searches for a request that gets beyond the grant; `scripts/fuzz broker [CASES]` does it at length.

A long run also plants each hole of `holes` in a broker's source, and fails when the same search does not find it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisWarning

from .conftest import BRANCH
from .fuzz_target import Counts, Try, fuzzed
from .fuzzing import BY_KIND, Asked, asked
from .holes import HOLES, Hole
from .reaches import Reach

_BATCH = 1000  # cases that hypothesis keeps in mind, so as not to repeat them
SHARES = {Reach.REPOSITORY: 4, Reach.OWN: 4, Reach.NARROWED: 2}  # of ten requests
_TOLD_EVERY = 1_000  # requests
_HOLE_CASES = 60_000  # requests of a hole's kind, within which it must be found; the rarest takes some thousands


class Beyond(AssertionError):
    """A request got something through that is not granted."""


def search(
    attempt: Callable[[Asked], list[str]],
    *,
    cases: int,
    first: int = 0,
    shrink: bool = True,
    requests: st.SearchStrategy[Asked] = asked,
) -> None:
    """Tries made-up requests; `first` makes others of them. Raises Beyond with the smallest one that gets through."""
    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]
    for batch in range(0, cases, _BATCH):

        @seed(first + batch)
        @given(request=requests)
        @settings(
            max_examples=min(_BATCH, cases - batch),
            deadline=None,
            database=None,
            phases=phases,
            suppress_health_check=list(HealthCheck),
        )
        def check(request: Asked) -> None:
            if why := attempt(request):
                raise Beyond(f"{request}: {why}")

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HypothesisWarning)  # of how long the request is that got through
            check()


def found_in(
    hole: Hole, folder: Path, *, cases: int, first: int = 0, requests: st.SearchStrategy[Asked] = asked
) -> tuple[int, str]:
    """How many requests it took to find something in a broker with the hole, and what; nothing: an empty string."""
    with fuzzed(program=hole.program(folder), reach=hole.reach) as (target, attempt):
        found = ""

        def note(request: Asked) -> list[str]:
            nonlocal found
            found = "; ".join(attempt(request, BRANCH))
            return [found] if found else []

        with contextlib.suppress(Beyond):
            search(note, cases=cases, first=first, shrink=False, requests=requests)
        return sum(target.counts.values(), Counts()).sent, found


def main(cases: int) -> int:
    """The exit status: 0 when nothing got through, but through the holes."""
    first = random.SystemRandom().randrange(2**32)
    print(f"fuzz: {cases} requests to the broker, seed {first}", flush=True)
    right = _policy_holds(cases, first)
    found = [_is_found(hole, first) for hole in HOLES]
    return 0 if right and all(found) else 1


def _policy_holds(cases: int, first: int) -> bool:
    """As many processes as there are cores share the requests."""
    began, cores = time.monotonic(), os.cpu_count() or 1
    part = -(-cases // cores)
    command = [sys.executable, "-m", "broker.fuzz", "--part", str(part), "--seed"]
    counts: defaultdict[str, Counts] = defaultdict(Counts)
    with contextlib.ExitStack() as logs:
        tell = os.dup(sys.stdout.fileno())
        logs.callback(os.close, tell)
        log = [logs.enter_context(tempfile.TemporaryFile("w+")) for _ in range(cores)]
        parts = [
            subprocess.Popen(
                [*command, str(first + number * part), "--tell", str(tell)],
                stdout=subprocess.PIPE,
                stderr=log[number],
                pass_fds=[tell],
            )
            for number in range(cores)
        ]
        outputs = [process.communicate()[0] for process in parts]
        for process, output, told in zip(parts, outputs, log, strict=True):
            if process.returncode != 0:
                told.seek(0)
                print(told.read()[-5000:], flush=True)
                return False
            for kind, numbers in json.loads(output).items():
                counts[kind] += Counts(**numbers)
    total = sum(counts.values(), Counts())
    for kind, each in [*sorted(counts.items()), ("all", total)]:
        print(f"fuzz: {kind:<19} {_told(each)}", flush=True)
    print(f"fuzz: nothing beyond the grant, in {time.monotonic() - began:.0f} s", flush=True)
    if not total.balanced:
        print("fuzz: FAILED: a fifth at least must be forwarded, and a fifth refused", flush=True)
    return total.balanced and total.sent >= cases


def _told(counts: Counts) -> str:
    forwarded, refused = (
        f"{number:>6} ({number / max(1, counts.sent):.0%})" for number in (counts.forwarded, counts.refused)
    )
    return f"{counts.sent:>6} sent, {forwarded} forwarded, {refused} refused"


def _is_found(hole: Hole, first: int) -> bool:
    with tempfile.TemporaryDirectory(prefix="gitward-fuzz-") as folder:
        Path(folder).chmod(0o755)  # the broker gives root up, and must still read its source
        count, found = found_in(hole, Path(folder), cases=_HOLE_CASES, first=first, requests=BY_KIND[hole.kind])
    print(
        f"fuzz: hole in {hole.kind}, {hole.name}: {f'found, request {count}: {found}' if found else 'NOT FOUND'}",
        flush=True,
    )
    return bool(found)


class Progress:
    """A line after every so many requests of one part."""

    def __init__(self, cases: int, told: int | None) -> None:
        self._cases, self._told, self._asked, self._began = cases, told, 0, time.monotonic()

    def __call__(self) -> None:
        self._asked += 1
        if self._told is not None and self._asked % _TOLD_EVERY == 0:
            line = f"fuzz: {self._asked} of {self._cases} requests of one process, {self._seconds:.0f} s\n"
            os.write(self._told, line.encode())

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._began


def _tried(attempt: Try, progress: Progress, request: Asked) -> list[str]:
    progress()
    return attempt(request, BRANCH)


def one_part(cases: int, first: int, told: int | None) -> None:
    """One process's part: prints its counts, or raises Beyond.

    :param told: a descriptor that progress is written to.
    """
    counts: dict[str, dict[str, int]] = {}
    progress = Progress(cases, told)
    for number, (reach, share) in enumerate(SHARES.items()):
        with fuzzed(reach=reach) as (target, attempt):
            search(partial(_tried, attempt, progress), cases=-(-cases * share // 10), first=first + number * 2**32)
            counts |= {f"{kind}, {reach}": vars(each) for kind, each in target.counts.items()}
    print(json.dumps(counts))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="scripts/fuzz broker", description=__doc__)
    parser.add_argument("cases", type=int, nargs="?", default=50_000, help="requests (default: 50000)")
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--tell", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part is not None:
        one_part(arguments.part, arguments.seed, arguments.tell)
    else:
        sys.exit(main(arguments.cases))
