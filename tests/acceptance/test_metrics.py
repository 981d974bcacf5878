"""The real service tells Prometheus what it did."""

from __future__ import annotations

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from rig import Client, Rig


async def test_a_run_is_seen_in_the_metrics(service: Rig, alice_client: Client) -> None:
    """By whoever asks from this machine, and without the token."""
    repository = await service.repository()
    command = "echo x > new.txt; gh api -X DELETE repos/{owner}/{repo} || true"
    _, run, _ = await alice_client.run(repository, command)
    assert run["state"] == "succeeded"
    async with httpx2.AsyncClient(base_url=service.url, trust_env=False) as client:
        answer = await client.get("/metrics")
        passed_on = await client.get("/metrics", headers={"X-Forwarded-For": "192.0.2.1"})
    assert (answer.status_code, passed_on.status_code) == (200, 401)
    told = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert told["gitward_runs_ended_total", "", "succeeded"] >= 1
    for step in ("preflight", "authenticate", "checkout", "execute", "publish", "pull_request", "settle"):
        assert told["gitward_step_seconds_count", step, "succeeded"] >= 1, step
    assert told["gitward_sandbox_open_seconds_count",] >= 1
    assert sum(value for (name, *_), value in told.items() if name == "gitward_policy_refusals_total") >= 1
    assert told["gitward_ready",] == 1
    assert told["gitward_places",] == 4
    assert service.token not in answer.text
    assert repository.full_name not in answer.text
