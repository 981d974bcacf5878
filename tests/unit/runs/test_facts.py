"""What a checkpoint came to is read again as it was, also when a worker of before an upgrade stored it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gitward.errors import Reason, RunFailure
from gitward.github.preflight import Facts
from gitward.github.tokens import Identity
from gitward.grants.lease import Lease
from gitward.runs.checkpoints import Checkpoint, RunCancelled
from gitward.runs.facts import PREFLIGHT, PULL_REQUEST, SETTLE, WORK, WorkResult
from gitward.runs.services import JobServices
from gitward.sessions.model import PullRequest
from gitward.sessions.progress import AttemptLost
from gitward.workers.checkpoints import Checkpoints, as_task

SHA = "a" * 40
SERVICES = cast(JobServices, SimpleNamespace(lease=Lease()))

# As version 0.1.0 wrote them before facts had a type: never to be changed.
STORED: dict[str, Any] = {
    "preflight": {
        "result": {
            "repository": "acme/widgets",
            "repository_id": 7,
            "default_branch": "main",
            "target_branch": "main",
            "target_sha": "1" * 40,
            "branch_sha": None,
            "identity": {"login": "octocat", "name": "The Octocat", "email": "octocat@example.com"},
            "notices": ["The token expires soon."],
            "pull_request_state": "merged",
            "pull_request_head_sha": SHA,
            "merge_commit_sha": None,
            "size_kib": 4711,
            "target_tree_sha": "2" * 40,
        }
    },
    "work": {
        "result": {
            "message": "Pushed.",
            "changed": True,
            "head_sha": SHA,
            "exit_code": 0,
            "wants_pull_request": True,
        }
    },
    "pull_request": {
        "result": {"number": 3, "url": "https://github.com/acme/widgets/pull/3", "state": "open", "draft": True}
    },
    "settle": {"result": {}},
}
IDENTITY = STORED["preflight"]["result"]["identity"]
VALUES: dict[str, object] = {
    "preflight": Facts(
        repository="acme/widgets",
        repository_id=7,
        default_branch="main",
        target_branch="main",
        target_sha="1" * 40,
        branch_sha=None,
        identity=Identity(login="octocat", name="The Octocat", email="octocat@example.com"),
        notices=("The token expires soon.",),
        pull_request_state="merged",
        pull_request_head_sha=SHA,
        size_kib=4711,
        target_tree_sha="2" * 40,
    ),
    "work": WorkResult(message="Pushed.", changed=True, head_sha=SHA, exit_code=0, wants_pull_request=True),
    "pull_request": PullRequest(number=3, url="https://github.com/acme/widgets/pull/3", state="open", draft=True),
    "settle": None,
}
CHECKPOINTS: tuple[Checkpoint[Any], ...] = (PREFLIGHT, WORK, PULL_REQUEST, SETTLE)


async def once(checkpoint: Checkpoint[Any], known: dict[str, Any], value: object = None) -> tuple[object, Any]:
    """What it comes to in a job whose row has `known`, and what stands in the row then."""
    stored: list[Mapping[str, Any]] = [known]
    results: list[object] = []

    async def keep(checkpoints: Mapping[str, Any]) -> None:
        stored.append(checkpoints)

    async def function(_services: JobServices, _run_id: str) -> object:
        if isinstance(value, Exception):
            raise value
        return value

    async def job() -> None:
        results.append(await checkpoint.once(SERVICES, "run-1", function))

    await as_task(Checkpoints(known, keep), job(), "job")
    return results[0], stored[-1][checkpoint.name]


@pytest.mark.parametrize("checkpoint", CHECKPOINTS, ids=lambda each: each.name)
async def test_what_was_stored_before_an_upgrade_is_read(checkpoint: Checkpoint[Any]) -> None:
    result, _ = await once(checkpoint, STORED)
    assert result == VALUES[checkpoint.name]


@pytest.mark.parametrize("checkpoint", CHECKPOINTS, ids=lambda each: each.name)
async def test_the_stored_shape_stays(checkpoint: Checkpoint[Any]) -> None:
    """A worker of before an upgrade reads it too."""
    result, stored = await once(checkpoint, {}, VALUES[checkpoint.name])
    assert (result, stored) == (VALUES[checkpoint.name], STORED[checkpoint.name])


async def test_what_an_older_worker_did_not_know_has_its_default() -> None:
    old = {name: STORED["preflight"]["result"][name] for name in ("repository", "repository_id", "default_branch")}
    old |= {name: STORED["preflight"]["result"][name] for name in ("target_branch", "target_sha", "branch_sha")}
    facts, _ = await once(PREFLIGHT, {"preflight": {"result": {**old, "identity": {**IDENTITY, "id": 1}, "gone": 1}}})
    assert isinstance(facts, Facts)
    assert (facts.notices, facts.pull_request_state, facts.identity.login) == ((), None, "octocat")


async def test_a_failure_is_read_as_it_was_raised() -> None:
    failure = RunFailure(Reason.TASK_FAILED, "It failed.", exit_code=3, head_sha=SHA)
    stored = {"failure": {"reason": "task_failed", "message": "It failed.", "exit_code": 3, "head_sha": SHA}}
    for known in ({}, {"work": stored}):
        with pytest.raises(RunFailure) as raised:
            await once(WORK, known, failure)
        assert (raised.value.reason, raised.value.message) == (Reason.TASK_FAILED, "It failed.")
        assert (raised.value.exit_code, raised.value.head_sha) == (3, SHA)


async def test_a_cancellation_and_a_lost_attempt_are_read_too() -> None:
    with pytest.raises(RunCancelled) as cancelled:
        await once(WORK, {"work": {"cancelled": {"pushed_sha": SHA}}})
    assert cancelled.value.pushed_sha == SHA
    with pytest.raises(AttemptLost, match="gone"):
        await once(WORK, {"work": {"lost": "gone"}})


async def test_an_unexpected_error_is_internal_and_not_quoted() -> None:
    with pytest.raises(RunFailure) as raised:
        await once(WORK, {}, ValueError("ghp_0123456789"))
    assert raised.value.reason is Reason.INTERNAL
    assert raised.value.message == "Gitward failed in step work; its log has the details."


async def test_nothing_is_stored_once_the_lease_is_over() -> None:
    lost = cast(JobServices, SimpleNamespace(lease=SimpleNamespace(held=False)))
    stored: list[Mapping[str, Any]] = []

    async def keep(checkpoints: Mapping[str, Any]) -> None:
        stored.append(checkpoints)

    async def function(_services: JobServices, _run_id: str) -> WorkResult:
        return WorkResult(message="Done.")

    async def job() -> None:
        await WORK.once(lost, "run-1", function)

    with pytest.raises(asyncio.CancelledError):
        await as_task(Checkpoints({}, keep), job(), "job")
    assert stored == []
