"""Settings that the pages show are taken as they stand."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from documented import code
from gitward.settings.environment import clean_environment

SHOWN = {
    "rules": code("docs/api.md", "authentication", "sh"),
    "hosts": code("docs/egress.md", "other-hosts", "sh"),
    "secrets": code("docs/egress.md", "secrets-for-other-hosts", "sh"),
    "sign-in": code("docs/signing-in.md", "at-an-identity-provider", "sh"),
    "collaborators": code("docs/signing-in.md", "write-access-on-github", "sh"),
}
# All that reads a setting's text.
READ = """
from gitward.cli.egress import egress_config, secret_sources
from gitward.cli.identity import operators_of, rules_of
from gitward.settings.loading import load_settings

settings = load_settings()
print(egress_config(settings), secret_sources(settings), rules_of(settings), operators_of(settings))
"""


def environments(block: str) -> list[dict[str, str]]:
    """What the lines of a block set together; one that shows another value of the same setting begins anew."""
    made: list[dict[str, str]] = [{}]
    for line in block.splitlines():
        words = shlex.split(line, comments=True)
        shown = dict(word.split("=", 1) for word in words if word != "export")
        made.append(made[-1] | shown) if shown.keys() & made[-1].keys() else made[-1].update(shown)
    return made


@pytest.mark.parametrize("what", SHOWN)
def test_they_are_taken(what: str, tmp_path: Path) -> None:
    block = SHOWN[what].replace("...", "a-secret-of-a-host")
    for name in ("/run/other.key", "/etc/gitward/client-secret"):
        file = tmp_path / Path(name).name
        file.write_text("a-secret-of-a-host\n")
        block = block.replace(name, str(file))
    for given in environments(block):
        given |= {"GITHUB_TOKEN": "ghp_" + "x" * 36, "GITWARD_DATA_DIR": str(tmp_path)}
        read = subprocess.run(
            [sys.executable, "-c", READ],
            env=clean_environment(**given),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert read.returncode == 0, (given, read.stderr)


def test_a_wrong_one_is_not_taken() -> None:
    wrong = clean_environment(GITWARD_EGRESS="not a host")
    read = subprocess.run([sys.executable, "-c", READ], env=wrong, capture_output=True, timeout=120, check=False)
    assert read.returncode != 0
