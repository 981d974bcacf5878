"""ARCHITECTURE.md draws the layers that lint-imports checks."""

from __future__ import annotations

import re
import tomllib

import pytest

from documented import ROOT, blocks

DRAWN = [block.text for block in blocks("ARCHITECTURE.md") if block.heading == "layers"]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


def checked(container: str) -> list[set[str]]:
    [contract] = [each for each in CONTRACTS if each.get("containers") == [container] and each["type"] == "layers"]
    return [set(re.findall(r"\w+", layer)) for layer in contract["layers"]]


def drawn(block: str) -> list[set[str]]:
    """The names before the explanation, which two spaces set off."""
    return [set(re.findall(r"\w+", line.split("  ")[0])) for line in block.splitlines()]


@pytest.mark.parametrize(("number", "container"), [(0, "gitward"), (1, "gitward.runs")])
def test_the_layers_are_those_that_are_checked(number: int, container: str) -> None:
    assert drawn(DRAWN[number]) == checked(container)
