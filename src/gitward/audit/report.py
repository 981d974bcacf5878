"""The verdict, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from gitward.audit.channels import PLACES, Channel
from gitward.audit.ledger import OF_GITHUB, Findings, Hit
from gitward.audit.proof import Outcome

FEWEST_SAMPLES = 50
_SHOWN = 5  # hits of one channel in the table; --json has all


class State(StrEnum):
    """What became of one channel."""

    CLEAN = "clean"
    DOCUMENTED = "documented"  # found, and the documentation says so
    LEAK = "LEAK"
    BLIND = "BLIND"  # the planted values were not found, so that the token would not be either
    NOT_VISIBLE = "not visible"  # beside a live service


@dataclass(frozen=True, kw_only=True)
class Row:
    """One channel."""

    channel: Channel
    state: State
    looks: int
    bytes: int
    planted: int  # spellings of the planted values that were found …
    expected: int  # … and that should be
    planted_by: str
    hits: tuple[Hit, ...] = ()
    note: str = ""


def rows(outcome: Outcome, *, strict: bool = False) -> list[Row]:
    """The table. `strict`: nothing is taken for documented, as in `broker` mode."""
    return [_row(outcome, channel, strict=strict) for channel in Channel]


def _row(outcome: Outcome, channel: Channel, *, strict: bool) -> Row:
    place, findings = PLACES[channel], outcome.ledger.findings(channel)
    expected = outcome.plant.spellings if place.binary else outcome.plant.text_spellings
    documented = place.in_login if outcome.stage.login_mode and not strict else ""
    state = _state(outcome, channel, findings, expected, documented=bool(documented))
    missing = ", ".join(sorted(expected - findings.planted))
    note = {State.DOCUMENTED: documented, State.BLIND: f"planted values that were not found: {missing}"}.get(state, "")
    return Row(
        channel=channel,
        state=state,
        looks=findings.looks,
        bytes=findings.bytes,
        planted=len(expected & findings.planted),
        expected=len(expected),
        planted_by=place.planted_by,
        hits=tuple(findings.hits),
        note=note,
    )


def _state(outcome: Outcome, channel: Channel, findings: Findings, expected: set[str], *, documented: bool) -> State:
    if findings.hits:
        of_keys = any(hit.of != OF_GITHUB for hit in findings.hits)  # which no mode lets out
        return State.DOCUMENTED if documented and not of_keys else State.LEAK
    if channel in outcome.stage.hidden:
        return State.NOT_VISIBLE
    return State.CLEAN if expected <= findings.planted else State.BLIND


def passes(outcome: Outcome, table: list[Row]) -> bool:
    """Whether the token is nowhere that it must not be, and the search was able to see that."""
    bad = any(row.state in {State.LEAK, State.BLIND} for row in table)
    return not bad and outcome.samples >= FEWEST_SAMPLES and (outcome.stage.live or outcome.uses > 0)


def text(outcome: Outcome, table: list[Row]) -> Iterator[str]:
    """The lines of the table."""
    yield f"{'channel':<42} {'looks':>6} {'bytes':>11} {'planted':>8}  token"
    for row in table:
        seen = f"{row.planted}/{row.expected}"
        yield f"{row.channel:<42} {row.looks:>6} {row.bytes:>11} {seen:>8}  {_found(row)}"
        if row.state in {State.LEAK, State.BLIND}:
            yield from (f"    {hit.place}: {hit.of}, {hit.spelling}" for hit in row.hits[:_SHOWN])
        if row.note:
            yield f"    {row.note}"
    yield ""
    yield f"{outcome.samples} samples of all processes, {outcome.processes} different ones, in {outcome.seconds:.1f} s."
    for each in outcome.exempt:
        yield f"Not searched: the environment of process {each.pid} ({each.name}): {each.why}."
    if outcome.stage.keys:
        yield f"Searched for in the same places: {', '.join(sorted(outcome.stage.keys))}."
    yield "Not searched: the memory of the service and its broker, which hold the token while a run is open."
    if not outcome.stage.live:
        yield f"Upstream saw the token {outcome.uses} times, in the header Authorization, where it belongs."


def _found(row: Row) -> str:
    return f"{row.state}: {len(row.hits)}" if row.hits else str(row.state)


def document(outcome: Outcome, table: list[Row]) -> dict[str, Any]:
    """The same for a program."""
    return {
        "ok": passes(outcome, table),
        "keys": sorted(outcome.stage.keys),
        "mode": outcome.stage.mode,
        "live": outcome.stage.live,
        "seconds": round(outcome.seconds, 2),
        "samples": outcome.samples,
        "processes": outcome.processes,
        "token_seen_upstream": outcome.uses,
        "exempt": [asdict(each) for each in outcome.exempt],
        "channels": [asdict(row) for row in table],
    }
