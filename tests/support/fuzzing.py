"""Schemathesis against a running service: what it found, and what it had reached when it found nothing."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contract_tools import HOME, run_tool
from rig import Rig

CONTRACT = Path(__file__).parents[1] / "contract"
PEERS = ("alice", "bob")  # neither may see what belongs to the other


@dataclass(frozen=True, kw_only=True)
class Findings:
    """The end of a fuzzing run."""

    exit_status: int  # 0: nothing was found
    output: str
    answers: dict[str, Counter[int]] = field(default_factory=dict)  # by "GET /sessions", how often each status

    @property
    def succeeded(self) -> set[str]:
        """The operations that have answered with success at least once."""
        return {name for name, statuses in self.answers.items() if any(200 <= status < 300 for status in statuses)}


async def fuzz(service: Rig, folder: Path, *arguments: str, seconds: float) -> Findings:
    """Runs `schemathesis run` with our configuration as two users; all that it writes stays in `folder`."""
    report = folder / "report.ndjson"
    _configure(service, folder)
    exit_status, output = await run_tool(
        *(str(HOME / "bin" / "schemathesis"), "run", f"{service.url}/openapi.json", "--no-color"),
        *("--report", "ndjson", "--report-ndjson-path", str(report), *arguments),
        folder=folder,
        seconds=seconds,
        PYTHONPATH=str(CONTRACT),
    )
    return Findings(exit_status=exit_status, output=output, answers=_answers(report))


def _configure(service: Rig, folder: Path) -> None:
    """Writes the configuration beside the users' tokens, which are worth nothing outside this service."""
    users = [
        {"name": peer, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {service.jwt(peer)}"}]}
        for peer in PEERS
    ]
    (folder / "users.json").write_text(json.dumps({"auth": users}))
    (folder / "schemathesis.toml").write_text((CONTRACT / "schemathesis.toml").read_text())


def _answers(report: Path) -> dict[str, Counter[int]]:
    """Counted line by line: the report of a long run is big."""
    answers: defaultdict[str, Counter[int]] = defaultdict(Counter)
    if report.exists():
        with report.open() as lines:
            for line in lines:
                _count(json.loads(line), answers)
    return dict(answers)


def _count(event: dict[str, Any], answers: defaultdict[str, Counter[int]]) -> None:
    recorder = (event.get("ScenarioFinished") or {}).get("recorder") or {}
    for case_id, interaction in recorder.get("interactions", {}).items():
        case, response = recorder["cases"][case_id]["value"], interaction["response"]
        if response is not None:
            answers[f"{case['method']} {case['path']}"][response["status_code"]] += 1
