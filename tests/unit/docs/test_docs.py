"""The documentation says what the code says: pages made from it are fresh, and its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gitward.settings.fields import Settings

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")


def generate(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, ROOT / "docs" / "generate.py", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_settings_page_is_fresh() -> None:
    checked = generate("--check")
    assert checked.returncode == 0, checked.stderr


def test_a_stale_page_is_noticed_and_mended(tmp_path: Path) -> None:
    assert generate("--check", tmp_path).returncode == 1
    assert generate(tmp_path).returncode == 0
    assert generate("--check", tmp_path).returncode == 0
    page = tmp_path / "settings.md"
    page.write_text(page.read_text().replace("GITWARD_PORT", "GITWARD_DOOR"))
    stale = generate("--check", tmp_path)
    assert stale.returncode == 1
    assert stale.stderr == f"{page} is stale: run scripts/docs\n"


def test_every_setting_has_a_row() -> None:
    text = (ROOT / "docs" / "settings.md").read_text()
    for field in Settings.model_fields.values():
        assert f"| `{field.alias}` |" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_inside_the_repository_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"
