"""The metrics. No label reveals anything about a user's work: no repository, owner, session or run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from gitward import __version__

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STEP_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 1800, 3600, 7200)
OPEN_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_RULE = re.compile(r"[a-z][a-z0-9_.-]{0,60}")  # the broker's own names; whatever else an event may hold is "other"


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What only the database knows; the same whichever process is asked."""

    runs: Mapping[str, int]  # that have not ended, by state
    queued: Mapping[str, int]  # by what they wait for: place, worker, session
    oldest_seconds: float  # how long the oldest has waited for a place or a worker; 0 when none does
    places: int
    places_taken: int
    schedules: Mapping[str, int]  # active, paused


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What GitHub said is left of one of its rate limits."""

    holder: str  # "token 1"
    resource: str  # "core"
    limit: int
    remaining: int


@dataclass(frozen=True, kw_only=True)
class BrokerFigures:
    """Of the brokers of this process."""

    open: int  # one for each grant
    restarts: int  # of brokers whose run went on
    parent_restarts: int


@dataclass(frozen=True, kw_only=True)
class Moment:
    """What is looked at when Prometheus asks; None: not known to this process."""

    figures: Figures | None = None
    budgets: tuple[Budget, ...] = ()
    ready: bool | None = None
    brokers: BrokerFigures | None = None


class Metrics:
    """Those of one process. Counters begin at 0 with it."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._events = Counter("gitward_events", "Events that this process wrote.", ["type"], registry=registry)
        self._ended = Counter(
            "gitward_runs_ended", "Runs that this process ended.", ["state", "reason"], registry=registry
        )
        self._takeovers = Counter(
            "gitward_takeovers", "Runs that this process took over from a lost worker.", registry=registry
        )
        self._refusals = Counter(
            "gitward_policy_refusals", "Requests of sandboxes that the broker refused.", ["rule"], registry=registry
        )
        self._steps = Histogram(
            "gitward_step_seconds", "How long steps took.", ["step", "state"], registry=registry, buckets=STEP_BUCKETS
        )
        self._opened = Histogram(
            "gitward_sandbox_open_seconds", "How long sandboxes took to open.", registry=registry, buckets=OPEN_BUCKETS
        )
        self._not_opened = Counter("gitward_sandbox_failures", "Sandboxes that did not open.", registry=registry)
        self._mirror_takes = Counter(
            "gitward_mirror_takes",
            "Repositories that runs used, from a mirror or directly.",
            ["how"],
            registry=registry,
        )
        self._mirror_bytes = Gauge("gitward_mirror_bytes", "Bytes of all mirrors.", registry=registry)
        self._fetches = Histogram(
            "gitward_mirror_fetch_seconds", "How long fetches took.", ["kind"], registry=registry, buckets=STEP_BUCKETS
        )
        self._model_calls = Counter(
            "gitward_model_requests",
            "Agents' requests to models that have ended. Models without an entry in GITWARD_PRICES are `other`.",
            ["agent", "model", "outcome"],
            registry=registry,
        )
        self._model_tokens = Counter(
            "gitward_model_tokens",
            "Tokens that providers told.",
            ["agent", "model", "kind"],
            registry=registry,
        )
        self._model_unknown = Counter(
            "gitward_model_requests_unknown",
            "Agents' requests to models of which not all tokens are known.",
            ["agent", "model"],
            registry=registry,
        )
        info = Gauge("gitward_build_info", "The running version.", ["version"], registry=registry)
        info.labels(version=__version__).set(1)
        ProcessCollector(registry=registry)

    def count_events(self, entries: Iterable[tuple[str, str | None, Mapping[str, Any]]]) -> None:
        """Counts events (type, run id, data) that were committed."""
        for kind, _, data in entries:
            self._events.labels(type=kind).inc()
            if kind == "run.ended":
                self._ended.labels(state=data["state"], reason=data.get("reason") or "").inc()
            elif kind == "run.taken_over":
                self._takeovers.inc()
            elif kind == "policy.denied":
                rule = str(data.get("rule"))
                self._refusals.labels(rule=rule if _RULE.fullmatch(rule) else "other").inc()
            elif kind == "step.ended":
                self._steps.labels(step=data["step"], state=data["state"]).observe(data["seconds"])

    def model_called(
        self, *, agent: str, entry: str | None, outcome: str, tokens: Mapping[str, int], is_counted: bool
    ) -> None:
        """A request to a model has ended. `entry`: of the operator's list of prices, which bounds the label."""
        labels = {"agent": agent, "model": entry or "other"}
        self._model_calls.labels(**labels, outcome=outcome).inc()
        if not is_counted:
            self._model_unknown.labels(**labels).inc()
        for kind, number in tokens.items():
            self._model_tokens.labels(**labels, kind=kind).inc(number)

    @contextmanager
    def opening_a_sandbox(self) -> Iterator[None]:
        """Times the block; when it raises, no sandbox was opened."""
        began = monotonic()
        try:
            yield
        except BaseException:
            self._not_opened.inc()
            raise
        self._opened.observe(monotonic() - began)

    def mirror_taken(self, how: Literal["hit", "miss", "direct"]) -> None:
        """A run took a repository from a mirror that was there, from one that was made for it, or from GitHub."""
        self._mirror_takes.labels(how=how).inc()

    def mirror_bytes(self, size: int) -> None:
        """What all mirrors take."""
        self._mirror_bytes.set(size)

    @contextmanager
    def fetching(self, kind: Literal["make", "refresh", "direct"]) -> Iterator[None]:
        """Times the block, however it ends."""
        began = monotonic()
        try:
            yield
        finally:
            self._fetches.labels(kind=kind).observe(monotonic() - began)

    def render(self, moment: Moment) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self._registry) + generate_latest(_gauges(moment))


def _gauges(moment: Moment) -> CollectorRegistry:
    registry = CollectorRegistry()

    def gauge(name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=registry)

    if moment.figures is not None:
        _add_figures(gauge, moment.figures)
    left = gauge("gitward_github_rate_limit_remaining", "Requests that GitHub still accepts.", "holder", "resource")
    limit = gauge("gitward_github_rate_limit", "Requests that GitHub accepts in an hour.", "holder", "resource")
    for each in moment.budgets:
        left.labels(each.holder, each.resource).set(each.remaining)
        limit.labels(each.holder, each.resource).set(each.limit)
    if moment.ready is not None:
        gauge("gitward_ready", "1 when this process can do its work, as /ready says.").set(moment.ready)
    if moment.brokers is not None:
        _add_brokers(gauge, moment.brokers)
    return registry


def _add_brokers(gauge: Callable[..., Gauge], brokers: BrokerFigures) -> None:
    gauge("gitward_brokers", "Broker processes, one for each grant that is open.").set(brokers.open)
    gauge("gitward_broker_restarts", "How often the broker of a run had to be replaced.").set(brokers.restarts)
    text = "How often the parent of the brokers had to be replaced."
    gauge("gitward_broker_parent_restarts", text).set(brokers.parent_restarts)


def _add_figures(gauge: Callable[..., Gauge], figures: Figures) -> None:
    runs = gauge("gitward_runs", "Runs that have not ended.", "state")
    for state, count in figures.runs.items():
        runs.labels(state).set(count)
    queued = gauge("gitward_queued_runs", "Queued runs, by what they wait for.", "waiting_for")
    for reason, count in figures.queued.items():
        queued.labels(reason).set(count)
    schedules = gauge("gitward_schedules", "Schedules.", "state")
    for state, count in figures.schedules.items():
        schedules.labels(state).set(count)
    oldest = gauge("gitward_queue_oldest_seconds", "How long the oldest run has waited for a place or a worker.")
    oldest.set(figures.oldest_seconds)
    gauge("gitward_places", "Runs that may be in progress at once.").set(figures.places)
    gauge("gitward_places_taken", "Places in use.").set(figures.places_taken)
