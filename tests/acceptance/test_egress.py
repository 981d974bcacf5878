"""Other hosts, as an operator sets them: through the real service, to the log of a session."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from rig import output, rig

COMMAND = """
curl -sS https://denied.test/ 2>&1; curl -sSv https://denied.test/ 2>&1 | grep -a 'HTTP/1.1 403'
curl -sS https://nowhere.example.test/ 2>&1
curl -sS https://api.model.test/v1/models
env | grep -ai proxy | sort | head -n 1
env | grep -a MODEL_KEY; true
"""


def _content(path: Path) -> bytes:
    """Nothing of what has gone meanwhile: a workspace is removed beside its service's answers."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _files(folder: Path) -> Iterator[Path]:
    """All below it, passing over folders that go meanwhile."""
    return (Path(where, name) for where, _, names in os.walk(folder) for name in names)


async def test_hosts_are_opened_and_secrets_put_in_by_settings() -> None:
    key = "sk-CANARY" + secrets.token_hex(12)
    inject = "api.model.test = x-api-key: MODEL_KEY"
    async with (
        rig(GITWARD_EGRESS="*.example.test", GITWARD_INJECT=inject, MODEL_KEY=key) as service,
        service.client() as client,
    ):
        _, run, events = await client.run(await service.repository(), COMMAND)
        assert run["state"] == "succeeded", run
        said = output(events)
        assert "< HTTP/1.1 403 Gitward: denied.test is not open to this session; these are open: *.example.test" in said
        assert "CONNECT tunnel failed, response 502" in said
        assert "Gitward: api.model.test could not be reached from the worker; try again later" in said
        assert "ALL_PROXY=http://127.0.0.1:3128" in said
        denied = [event["data"] for event in events if event["type"] == "policy.denied"]
        assert [data["rule"] for data in denied] == ["egress.host"] * 2
        assert denied[0]["message"].startswith("CONNECT denied.test:443: denied.test is not open to this session")
        assert service.process is not None
        children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text().split()
        searched = [Path(f"/proc/{pid}/{name}") for pid in children for name in ("environ", "cmdline")]
        searched += [service.log, *_files(service.data)]
        assert len(searched) > 6
        assert [path for path in searched if key.encode() in _content(path)] == []
        assert key not in str(events)
