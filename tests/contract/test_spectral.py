"""Spectral has nothing to say against the description that is served, not even a hint."""

from __future__ import annotations

from pathlib import Path

from contract_tools import HOME, run_node
from rig import warm_rig

RULES = Path(__file__).with_name("spectral.yaml")
SPECTRAL = HOME / "node_modules/@stoplight/spectral-cli/dist/index.js"


async def lint(document: Path) -> tuple[int, str]:
    options = ("--ruleset", str(RULES), "--fail-severity", "hint")
    return await run_node(str(SPECTRAL), "lint", str(document), *options, folder=document.parent, seconds=60)


async def test_the_served_description_passes(tmp_path: Path) -> None:
    document = tmp_path / "openapi.json"
    async with warm_rig(GITHUB_TOKEN="") as service, service.client() as client:
        document.write_text((await client.http.get("/openapi.json")).text)
    status, output = await lint(document)
    assert status == 0, output


async def test_a_description_with_a_fault_does_not_pass(tmp_path: Path) -> None:
    """The test above can fail."""
    document = tmp_path / "openapi.json"
    document.write_text('{"openapi": "3.1.0", "info": {"title": "x"}, "paths": {}}')
    status, output = await lint(document)
    assert status == 1
    assert 'must have required property "version"' in output
