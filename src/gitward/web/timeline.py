"""The steps of a run to scale: where the time went."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gitward.sessions.model import Run, StepState, now

WIDTH = 1000.0


@dataclass(frozen=True, kw_only=True)
class Segment:
    name: str
    state: str  # waiting | running | succeeded | failed | cancelled
    seconds: float
    x: float  # in WIDTH
    width: float

    @property
    def share(self) -> int:
        return round(100 * self.width / WIDTH)


def segments_of(run: Run, at: datetime | None = None) -> list[Segment]:
    """The wait for a worker and the steps, in their order; gaps between steps belong to the step before."""
    at = at or now()
    spans: list[tuple[str, str, float]] = []
    wait = ((run.started_at or run.ended_at or at) - run.created_at).total_seconds()
    if wait >= 0.05 or run.started_at is None:
        spans.append(("queued", "waiting", max(0.0, wait)))
    for step in run.steps:
        live = (at - step.started_at).total_seconds() if step.state is StepState.RUNNING else 0.0
        seconds = step.seconds if step.seconds is not None else max(0.0, live)
        spans.append((step.name.value.replace("_", " "), step.state.value, seconds))
    return _scaled(spans)


def _scaled(spans: list[tuple[str, str, float]]) -> list[Segment]:
    """Each at least a sliver, so that it can be seen and pointed at."""
    total = sum(seconds for _, _, seconds in spans) or 1.0
    shares = [max(seconds / total, 0.004) for _, _, seconds in spans]
    scale, x = WIDTH / sum(shares) if shares else 0.0, 0.0
    made = []
    for (name, state, seconds), share in zip(spans, shares, strict=True):
        width = share * scale
        made.append(Segment(name=name, state=state, seconds=seconds, x=round(x, 2), width=round(width, 2)))
        x += width
    return made
