"""What Prometheus is told, by Prometheus' own parser; and that the dashboard asks for what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gitward.telemetry.metrics import BrokerFigures, Budget, Figures, Metrics, Moment

DASHBOARD = Path(__file__).parents[3] / "docs" / "grafana" / "gitward.json"
FIGURES = Figures(
    runs={"queued": 7, "running": 2, "cancelling": 1},
    queued={"place": 4, "worker": 1, "session": 2},
    oldest_seconds=12.5,
    places=4,
    places_taken=4,
    schedules={"active": 3, "paused": 1},
)
BUDGET = Budget(holder="token 1", resource="core", limit=5000, remaining=4321)
BROKERS = BrokerFigures(open=2, restarts=0, parent_restarts=0)
EVERYTHING = Moment(
    figures=FIGURES, budgets=(BUDGET,), ready=True, brokers=BrokerFigures(open=2, restarts=0, parent_restarts=0)
)
STEP = {"step": "execute", "state": "succeeded", "seconds": 3.0}
# Of a histogram and of a counter there are more names than the dashboard needs.
NOT_SHOWN = re.compile(r".*_created|gitward_(step|mirror_fetch)_seconds_(count|sum)|gitward_sandbox_open_seconds_sum")


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(text.decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def used(metrics: Metrics) -> Metrics:
    """One that has seen everything."""
    metrics.count_events(
        [
            ("run.ended", "run_1", {"state": "failed", "reason": "task_failed"}),
            ("run.ended", "run_2", {"state": "succeeded", "reason": None}),
            ("run.taken_over", "run_2", {"attempt": 2}),
            ("policy.denied", "run_2", {"rule": "git.push.ref", "message": "refs/heads/main of acme/secret"}),
            ("policy.denied", "run_2", {"rule": "<b>acme/secret</b>", "message": ""}),
            ("step.ended", "run_2", STEP),
            ("output", "run_2", {"step": "execute", "stream": "stdout", "text": "acme/secret"}),
        ]
    )
    with metrics.opening_a_sandbox():
        pass
    metrics.mirror_taken("hit")
    metrics.mirror_bytes(4096)
    with metrics.fetching("refresh"):
        pass
    used = {"input": 5, "cached": 0, "output": 3}
    metrics.model_called(agent="claude", entry="m-*", outcome="answered", tokens=used, is_counted=True)
    metrics.model_called(agent="claude", entry=None, outcome="cut", tokens={}, is_counted=False)
    return metrics


def test_what_happened_is_counted() -> None:
    told = samples(used(Metrics()).render(Moment()))
    assert told["gitward_runs_ended_total", (("reason", "task_failed"), ("state", "failed"))] == 1
    assert told["gitward_runs_ended_total", (("reason", ""), ("state", "succeeded"))] == 1
    assert told["gitward_takeovers_total", ()] == 1
    assert told["gitward_policy_refusals_total", (("rule", "git.push.ref"),)] == 1
    assert told["gitward_policy_refusals_total", (("rule", "other"),)] == 1
    execute = (("state", "succeeded"), ("step", "execute"))
    assert told["gitward_step_seconds_sum", execute] == 3.0
    assert told["gitward_step_seconds_bucket", (("le", "5.0"), *execute)] == 1
    assert told["gitward_step_seconds_bucket", (("le", "2.5"), *execute)] == 0
    assert told["gitward_sandbox_open_seconds_count", ()] == 1
    assert told["gitward_events_total", (("type", "output"),)] == 1
    assert told["gitward_mirror_takes_total", (("how", "hit"),)] == 1
    assert told["gitward_mirror_bytes", ()] == 4096
    agent = ("agent", "claude")
    assert told["gitward_model_tokens_total", (agent, ("kind", "output"), ("model", "m-*"))] == 3
    assert told["gitward_model_requests_total", (agent, ("model", "other"), ("outcome", "cut"))] == 1
    assert told["gitward_model_requests_unknown_total", (agent, ("model", "other"))] == 1
    assert told["gitward_mirror_fetch_seconds_count", (("kind", "refresh"),)] == 1


def test_what_is_now_is_told_and_what_is_not_known_is_left_out() -> None:
    told = samples(Metrics().render(EVERYTHING))
    assert told["gitward_runs", (("state", "running"),)] == 2
    assert told["gitward_queued_runs", (("waiting_for", "place"),)] == 4
    assert told["gitward_queue_oldest_seconds", ()] == 12.5
    assert told["gitward_github_rate_limit_remaining", (("holder", "token 1"), ("resource", "core"))] == 4321
    assert told["gitward_ready", ()] == 1
    names = {name for name, _ in samples(Metrics().render(Moment()))}
    assert not names & {"gitward_runs", "gitward_ready", "gitward_places", "gitward_github_rate_limit_remaining"}


def test_a_sandbox_that_does_not_open_is_counted_as_that() -> None:
    def fail() -> None:
        with metrics.opening_a_sandbox():
            raise OSError("no room")

    metrics = Metrics()
    with pytest.raises(OSError, match="no room"):
        fail()
    told = samples(metrics.render(Moment()))
    assert (told["gitward_sandbox_failures_total", ()], told["gitward_sandbox_open_seconds_count", ()]) == (1, 0)


def test_no_label_says_anything_of_a_user_s_work() -> None:
    """Every label that there is, by name; and nothing of what the events held."""
    text = used(Metrics()).render(EVERYTHING)
    labels = {name for _, pairs in samples(text) for name, _ in pairs}
    events, moments = {"type", "state", "reason", "rule", "step"}, {"waiting_for", "holder", "resource", "version"}
    models = {"agent", "model", "outcome"}  # names of the operator's own lists
    assert labels == {"le", "how", "kind", *events, *moments, *models}
    assert b"acme" not in text
    assert b"run_" not in text.replace(b"run_ended", b"")


def test_the_dashboard_asks_for_what_there_is_and_shows_all_of_it() -> None:
    there = {name for name, _ in samples(used(Metrics()).render(EVERYTHING))}
    asked: set[str] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        assert panel["title"]
        for target in panel["targets"]:
            names = set(re.findall(r"\b(?:gitward|process)_[a-z_]+\b", target["expr"]))
            assert names, panel["title"]
            asked |= names
    assert asked - there == set()
    ours = {name for name in there if name.startswith("gitward_") and not NOT_SHOWN.fullmatch(name)}
    assert ours - asked == set()


def test_panels_lie_beside_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert place["x"] + place["w"] <= 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells
