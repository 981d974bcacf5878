"""No request of any kind or order makes the service fail, or answer in a way that its description does not tell.

The service is a real process without a token: its runs fail at once, and no sandbox is opened for made-up commands.
`scripts/fuzz` does the same for as long as one likes, with other random numbers each time.
"""

from __future__ import annotations

from pathlib import Path

from fuzzing import fuzz
from rig import warm_rig


async def test_every_kind_of_value_is_answered_as_described(tmp_path: Path) -> None:
    """Each bound of each value from both sides, each missing and each superfluous one, each method, each user."""
    async with warm_rig(GITHUB_TOKEN="") as service:
        findings = await fuzz(service, tmp_path, "--phases", "examples,coverage", "--seed", "1", seconds=200)
    assert findings.exit_status == 0, findings.output
    assert {"POST /sessions", "GET /sessions", "GET /ready", "GET /sessions/{session_id}"} <= findings.succeeded
    assert all(405 in findings.answers[f"PUT {path}"] for path in ("/sessions", "/health", "/sessions/{session_id}"))


async def test_sequences_of_calls_are_answered_as_described(tmp_path: Path) -> None:
    """Create, follow up, cancel, retry, change, archive, read: in made-up orders, with the ids of earlier answers."""
    async with warm_rig(GITHUB_TOKEN="") as service:
        bounds = ("--max-time", "15", "--seed", "1")
        findings = await fuzz(service, tmp_path, "--phases", "stateful", *bounds, seconds=90)
    assert findings.exit_status == 0, findings.output
    assert "POST /sessions" in findings.succeeded, findings.output
    assert len(findings.succeeded) >= 4, findings.answers
