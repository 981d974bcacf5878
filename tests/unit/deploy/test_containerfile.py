"""The Containerfile: what its steps need is there, and the versions are those that the tests run with."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from gitward.cli.tools import PACKAGES
from gitward.settings.fields import Settings

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "deploy" / "Containerfile").read_text()
LOCK = ROOT / "requirements.lock"
INSTRUCTIONS = {
    *("FROM", "RUN", "COPY", "WORKDIR", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT"),
    "CMD",
}


def instructions() -> list[tuple[str, str]]:
    lines = [line for line in TEXT.splitlines() if line and not line.startswith("#")]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==(\S+)", lock.read_text(), re.MULTILINE))


def test_every_line_is_an_instruction() -> None:
    assert {name for name, _ in instructions()} <= INSTRUCTIONS


def test_what_it_installs_from_is_in_the_repository() -> None:
    named = re.findall(r"(?<=-r )\S+", TEXT)
    assert named
    assert all((ROOT / path).is_file() for path in named)


def test_the_last_image_has_every_program_that_a_run_needs() -> None:
    last = TEXT.rpartition("\nFROM ")[2]
    [install] = re.findall(r"apt-get install -y --no-install-recommends ([\w -]+?) &&", last)
    assert set(PACKAGES.values()) <= set(install.split())


@pytest.mark.parametrize("name", ["requirements.lock", "build.lock"])
def test_an_installation_has_the_versions_of_the_tests(name: str) -> None:
    """They are written from requirements.lock, by scripts/lock, and have no tool of tests."""
    file = ROOT / "deploy" / name
    installed = pins(file)
    assert installed.items() <= pins(LOCK).items()
    assert {"pytest", "mypy", "ruff", "playwright"}.isdisjoint(installed)
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", file.read_text())) >= len(installed)
    assert f"--require-hashes -r deploy/{name}\n" in TEXT


def test_the_locks_are_not_older_than_what_the_project_needs() -> None:
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.split(r"[^\w-]", line)[0].lower() for line in needed}
    assert names <= pins(ROOT / "deploy" / "requirements.lock").keys()
    assert "hatchling" in pins(ROOT / "deploy" / "build.lock")


def test_its_environment_has_settings_only() -> None:
    names = {word.partition("=")[0] for name, rest in instructions() if name == "ENV" for word in rest.split()}
    assert names - {"PATH"} <= {str(field.alias) for field in Settings.model_fields.values()}
