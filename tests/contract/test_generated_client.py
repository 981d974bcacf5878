"""A client made by openapi-python-client from the served description works, in a Python that has nothing of ours."""

from __future__ import annotations

import json
from pathlib import Path

from contract_tools import HOME, PYTHON, run_tool
from rig import Rig, warm_rig

HERE = Path(__file__).parent


async def generate(service: Rig, folder: Path) -> None:
    status, output = await run_tool(
        *(str(HOME / "bin" / "openapi-python-client"), "generate", "--url", f"{service.url}/openapi.json"),
        *("--config", str(HERE / "client.yaml"), "--output-path", "gitward_client", "--meta", "none"),
        "--fail-on-warning",
        folder=folder,
        seconds=60,
    )
    assert status == 0, output


async def test_it_creates_a_session_and_follows_it_to_its_end(tmp_path: Path) -> None:
    async with warm_rig() as service:
        await generate(service, tmp_path)
        repository = await service.repository()
        wanted = {"repo": repository.full_name, "command": "echo hello | tee hello.txt"}
        status, output = await run_tool(
            *(PYTHON, str(HERE / "follow_session.py")),
            folder=tmp_path,
            seconds=90,
            stdin=json.dumps({"url": service.url, "token": service.jwt(), **wanted}),
            PYTHONPATH=str(tmp_path),
        )
        assert status == 0, output
        seen = json.loads(output)
        head = await repository.head(seen["session"]["branch"])
    assert (seen["run"]["state"], seen["run"]["changed"], seen["run"]["head_sha"]) == ("succeeded", True, head)
    assert seen["session"]["pull_request"]["number"] == repository.pulls[0].number
    assert len(seen["events"]) == seen["streamed"]
    assert seen["events"][-1]["type"] == "run.ended"
    assert {"step": "execute", "stream": "stdout", "text": "hello\n"} in [event["data"] for event in seen["events"]]
    assert "+hello" in seen["diff"]
    assert "Subject: [PATCH]" in seen["patch"]
    assert seen["bundle"].startswith("# v2 git bun")
    assert seen["unknown"]["code"] == "not_found"
