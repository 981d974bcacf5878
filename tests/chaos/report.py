"""What a run of chaos found, as a table or as JSON, and whether it may be called good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from gitward.sessions.model import StepName

from .faults import LOSES_WORKER, Hit, Kind, Takeover
from .proof import Verdict, Wrong

Json = dict[str, Any]
SLOWEST = 4  # takeovers that are told one by one
LONGEST_FAULT = 7.0  # seconds


@dataclass(frozen=True, kw_only=True)
class Report:
    """The figures and the verdicts."""

    seconds: float
    sessions: int
    runs: int
    retried: Counter[str]  # runs that a fault ended, by their reason; they were retried
    hits: Sequence[Hit]
    takeovers: Sequence[Takeover]
    taken_over: int  # events run.taken_over, of all runs that a lost worker had
    wrong: Sequence[Wrong]
    wanted_kills: int
    lost_outright: Sequence[Hit] = field(default=())  # runs that nobody went on with

    @property
    def kills(self) -> int:
        return sum(hit.kind is Kind.KILL for hit in self.hits)

    def count(self, kind: Kind, step: StepName) -> int:
        return sum(hit.kind is kind and hit.step is step for hit in self.hits)

    def verdicts(self) -> dict[str, int]:
        return {verdict: sum(each.verdict is verdict for each in self.wrong) for verdict in Verdict}

    def problems(self) -> list[str]:
        """Why this run is no proof, or proves that something is broken."""
        found = [f"{each.verdict}: {each.sentence}" for each in self.wrong]
        found += [f"nobody went on with {hit.run_id} after: {hit.kind} in {hit.step}" for hit in self.lost_outright]
        if self.kills < self.wanted_kills:
            found.append(f"only {self.kills} workers were killed, {self.wanted_kills} were wanted")
        found += [
            f"no fault hit the step {step}" for step in StepName if not any(hit.step is step for hit in self.hits)
        ]
        found += [f"never happened: {kind}" for kind in Kind if not any(hit.kind is kind for hit in self.hits)]
        if not self.taken_over:
            found.append("no run was taken over")
        return found

    def lines(self) -> Iterator[str]:
        """For a person."""
        steps = list(StepName)
        yield f"{'':<20}" + "".join(f"{step:>14}" for step in steps)
        for kind in Kind:
            yield f"{kind:<20}" + "".join(f"{self.count(kind, step):>14}" for step in steps)
        yield ""
        yield f"{self.sessions} sessions with {self.runs} runs in {self.seconds:.0f} s; {self.kills} workers killed"
        for kind in sorted(LOSES_WORKER):
            times = sorted(each.seconds for each in self.takeovers if each.hit.kind is kind)
            if times:
                longest = max(each.whole for each in self.takeovers if each.hit.kind is kind)
                yield (
                    f"{kind}: taken over after p50 {_at(times, 0.5):.2f} s, p99 {_at(times, 0.99):.2f} s, of "
                    f"{len(times)}; the longest {longest:.2f} s, with the database's absence"
                )
        yield from self._slowest()
        ended = ", ".join(f"{reason} {count}" for reason, count in sorted(self.retried.items())) or "none"
        yield f"{self.taken_over} takeovers; ended by a fault and retried: {ended}"
        yield ", ".join(f"{verdict} {count}" for verdict, count in self.verdicts().items())

    def _slowest(self) -> Iterator[str]:
        """What else was wrong while the slowest takeovers lasted."""
        for takeover in sorted(self.takeovers, key=lambda each: -each.whole)[:SLOWEST]:
            hit = takeover.hit
            others = (other for other in self.hits if _beside(other, takeover))
            beside = ", ".join(f"{other.kind} after {other.at - hit.at:+.1f} s" for other in others) or "nothing"
            away = f", {takeover.away:.2f} s of them without a database" if takeover.away else ""
            yield f"  {takeover.whole:.2f} s{away}: {hit.kind} in {hit.step}; beside it: {beside}"

    def to_json(self) -> Json:
        return {
            "seconds": round(self.seconds, 1),
            "sessions": self.sessions,
            "runs": self.runs,
            "retried": dict(self.retried),
            "kills": self.kills,
            "hits": {kind: {step: self.count(kind, step) for step in StepName} for kind in Kind},
            "taken_over": self.taken_over,
            "takeovers": [
                {"kind": each.hit.kind, "seconds": round(each.seconds, 3), "without_database": round(each.away, 3)}
                for each in self.takeovers
            ],
            **self.verdicts(),
            "problems": self.problems(),
        }


def _beside(other: Hit, takeover: Takeover) -> bool:
    """Whether it began shortly before the takeover, or while it lasted."""
    after = other.at - takeover.hit.at
    return other is not takeover.hit and -LONGEST_FAULT < after < takeover.whole


def _at(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))]
