"""What goes wrong, and in which step of a run it did."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from gitward.sessions.model import StepName


class Kind(StrEnum):
    """One way in which a machine fails."""

    KILL = "worker killed"  # SIGKILL
    STOP = "worker stopped"  # SIGSTOP, and SIGCONT when another has its runs
    CUT = "worker cut off"  # from the database, for longer than its lease
    TERMINATE = "worker asked to end"  # SIGTERM: a rolling restart
    BROKER = "broker killed"  # SIGKILL of a run's broker
    PARENT = "brokers' parent killed"  # SIGKILL of what brokers are forked from
    DATABASE = "database restarted"  # an immediate shutdown, which drops every connection
    LAUNCHER_STOP = "launcher stopped"  # SIGSTOP, and SIGCONT after longer than a lease
    BROKER_STOP = "broker stopped"  # the same
    PARENT_STOP = "brokers' parent stopped"  # the same
    DATABASE_STOP = "database stopped"  # the same of every process of the server: its connections live
    DISK = "disk full"  # of a worker's data folder, for a while


LOSES_WORKER = frozenset({Kind.KILL, Kind.STOP, Kind.CUT})
# How often each comes, of a hundred. Kills are what is counted in the end; a restart of the database hits everybody.
SHARE = {
    Kind.KILL: 48,
    Kind.STOP: 7,
    Kind.CUT: 7,
    Kind.TERMINATE: 5,
    Kind.BROKER: 8,
    Kind.PARENT: 4,
    Kind.DATABASE: 4,
    Kind.LAUNCHER_STOP: 4,
    Kind.BROKER_STOP: 4,
    Kind.PARENT_STOP: 2,
    Kind.DATABASE_STOP: 3,
    Kind.DISK: 4,
}


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One fault that was made."""

    kind: Kind
    step: StepName  # that the run was in which the fault was aimed at
    run_id: str
    worker: str  # executor id
    at: float  # seconds since the epoch


@dataclass(frozen=True, kw_only=True)
class Takeover:
    """How long a run whose worker was lost waited for another one."""

    hit: Hit
    whole: float  # seconds
    away: float  # seconds of these in which there was no database: nobody can go on then

    @property
    def seconds(self) -> float:
        """What the workers took."""
        return self.whole - self.away


def overlap(spans: Iterable[tuple[float, float]], begin: float, end: float) -> float:
    """How much of the time from `begin` to `end` lies within the spans, none of which touches another."""
    return sum(max(0.0, min(end, upper) - max(begin, lower)) for lower, upper in spans)


def next_kind(made: list[Hit]) -> Kind:
    """The kind that is furthest behind its share."""
    return max(SHARE, key=lambda kind: SHARE[kind] / 100 * (len(made) + 1) - sum(hit.kind is kind for hit in made))


def steps_by_need(made: list[Hit]) -> list[StepName]:
    """The steps, the least hit one first."""
    return sorted(StepName, key=lambda step: sum(hit.step is step for hit in made))
