"""The Containerfile: what its steps need is there, and the versions are those that the tests run with."""

from __future__ import annotations

import re
from pathlib import Path

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


def test_what_it_copies_is_in_the_repository() -> None:
    for path in re.findall(r"deploy/[\w.]+|requirements\.lock", TEXT):
        assert (ROOT / path).exists() or path == "requirements.lock", path


def test_the_last_image_has_every_program_that_a_run_needs() -> None:
    last = TEXT.rpartition("\nFROM ")[2]
    [install] = re.findall(r"apt-get install -y --no-install-recommends ([\w -]+?) &&", last)
    assert set(PACKAGES.values()) <= set(install.split())


def test_it_is_built_by_the_back_end_of_the_tests() -> None:
    [version] = re.findall(r"hatchling==(\S+)", TEXT)
    assert pins(LOCK)["hatchling"] == version


def test_an_installation_has_the_versions_of_the_tests() -> None:
    """deploy/requirements.lock is written from requirements.lock; it has no tool of tests."""
    installed, tested = pins(ROOT / "deploy" / "requirements.lock"), pins(LOCK)
    assert installed.items() <= tested.items()
    assert {"pytest", "mypy", "ruff", "playwright"}.isdisjoint(installed)
    hashes = r"--hash=sha256:[0-9a-f]{64}"
    assert len(re.findall(hashes, (ROOT / "deploy" / "requirements.lock").read_text())) >= len(installed)


def test_its_environment_has_settings_only() -> None:
    names = {word.partition("=")[0] for name, rest in instructions() if name == "ENV" for word in rest.split()}
    assert names - {"PATH"} <= {str(field.alias) for field in Settings.model_fields.values()}
