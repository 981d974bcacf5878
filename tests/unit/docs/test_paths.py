"""Files of the repository that its pages name are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
NAMED = re.compile(r"`([\w/-]+\.py)`")
FILES = {
    f"/{path.relative_to(ROOT)}"
    for folder in ("src", "tests", "docs", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    named = {name for name in NAMED.findall(page.read_text()) if "NNNN" not in name}  # an example
    assert {name for name in named if not any(file.endswith(f"/{name}") for file in FILES)} == set()


def test_the_map_of_the_readme_has_every_folder() -> None:
    drawn = (ROOT / "README.md").read_text().partition("\n## A map of the code\n")[2]
    folders = [*(ROOT / "src" / "gitward").iterdir(), *(ROOT / "tests").iterdir()]
    for folder in folders:
        if folder.is_dir() and folder.name not in {"__pycache__", "support"}:
            assert re.search(rf"\b{folder.name}\b", drawn), folder
