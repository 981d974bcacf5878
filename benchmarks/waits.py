"""Where a tiny session's milliseconds go: everything that its run waits for, in order, as medians of several rounds."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bare import bare_commands
from benchmarks.figure import Figure, median
from benchmarks.world import World

ROUNDS = 7
KINDS = ("checkpoint", "GitHub", "grant", "sandbox", "command", "database", "attempt")


@dataclass(frozen=True, kw_only=True)
class Span:
    """Something that was waited for, in seconds since the POST."""

    kind: str
    name: str
    began: float
    ended: float


async def waits(world: World) -> list[Figure]:
    """One line for each wait of a session whose mirror is warm: when it began, how long it took."""
    rounds, bare = [], []
    async with world.http() as http:
        for number in range(ROUNDS + 2):
            rounds.append(await _watched_session(world, http))
            bare.append(await bare_commands(world, 500 + number))
            await asyncio.sleep(0.3)
    rounds, bare = rounds[2:], bare[2:]
    seconds = median([spans[-1].ended for spans in rounds])
    head = Figure(
        name="session / bare",
        value=f"{seconds / median(bare):.2f}",
        meaning=f"{seconds * 1000:.0f} ms over {median(bare) * 1000:.0f} ms",
    )
    return [head, *_lines(rounds), *_sums(rounds)]


async def _watched_session(world: World, http: Any) -> list[Span]:
    lines = _Lines(world.root / "service" / "waits")
    began = time.monotonic()
    session = await world.session(http, command="echo bench | tee -a README.md")
    answered = time.monotonic()
    async for _ in world.events(http, session):
        pass
    ended = time.monotonic()
    await asyncio.sleep(0.2)  # what goes on after the end is no part of it, but stands in the file
    spans = [Span(kind=kind, name=name, began=a - began, ended=b - began) for kind, name, a, b in lines.new()]
    spans = [span for span in spans if span.began < ended - began]
    spans.append(Span(kind="caller", name="POST, until it is answered", began=0, ended=answered - began))
    spans.sort(key=lambda span: span.began)
    spans.append(Span(kind="caller", name="the last event has arrived", began=ended - began, ended=ended - began))
    return spans


class _Lines:
    """What is written to a file from now on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._from = path.stat().st_size if path.exists() else 0

    def new(self) -> list[list[Any]]:
        with self._path.open("rb") as file:
            file.seek(self._from)
            return [json.loads(line) for line in file]


def _lines(rounds: list[list[Span]]) -> list[Figure]:
    """Waits that all rounds had; the nth of a name in one round is the nth in another."""
    numbered = [_numbered(spans) for spans in rounds]
    common = set.intersection(*(set(spans) for spans in numbered))
    figures = []
    for key in sorted(common, key=lambda key: median([spans[key].began for spans in numbered])):
        kind, name, _ = key
        if kind not in ("database", "attempt"):
            began = median([spans[key].began for spans in numbered])
            took = median([spans[key].ended - spans[key].began for spans in numbered])
            figures.append(
                Figure(name=f"{kind}: {name}"[:42], value=f"{took * 1000:.1f} ms", meaning=f"at {began * 1000:.0f} ms")
            )
    return figures


def _numbered(spans: list[Span]) -> dict[tuple[str, str, int], Span]:
    seen: Counter[tuple[str, str]] = Counter()
    found = {}
    for span in spans:
        seen[span.kind, span.name] += 1
        found[span.kind, span.name, seen[span.kind, span.name]] = span
    return found


def _sums(rounds: list[list[Span]]) -> list[Figure]:
    figures = []
    for kind in KINDS:
        of_kind = [[span for span in spans if span.kind == kind] for spans in rounds]
        total = median([sum(span.ended - span.began for span in spans) for spans in of_kind])
        count = median([len(spans) for spans in of_kind])
        figures.append(
            Figure(name=f"sum of {kind}", value=f"{total * 1000:.0f} ms", meaning=f"{count:g} of them; some overlap")
        )
    return figures
