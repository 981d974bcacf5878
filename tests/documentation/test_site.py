"""The documentation builds as a site; whatever leads nowhere, or to another host, stops it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def build(repository: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    assert (ROOT / ".tools/site/stamp").exists(), "run scripts/site first: it installs what builds the site"
    argv = [sys.executable, "-m", "docs.build_site", "--repository", str(repository), "--folder", str(folder)]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The pages, in a folder where a test may spoil them."""
    made = tmp_path / "copy"
    names = [file.name for file in ROOT.iterdir() if file.suffix in {".md", ".yml"}]
    for name in [*names, "docs", "deploy"]:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, made / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif (ROOT / name).exists():
            made.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, made / name)
    return made


def test_it_builds_and_each_page_has_its_place(copy: Path, tmp_path: Path) -> None:
    built = build(copy, tmp_path / "site")
    assert built.returncode == 0, built.stderr
    html = tmp_path / "site" / "html"
    for page in ("index", "quick-start", "cookbook", "security", "architecture", "contributing", "incidents"):
        assert (html / f"{page}.html").is_file()
    home = (html / "index.html").read_text()
    assert 'href="./security.html' in home  # in the nav and in the text: a link that leads to SECURITY.md on GitHub
    assert "SECURITY.md" in (ROOT / "README.md").read_text()


def append(page: str, text: str) -> Callable[[Path], None]:
    def spoil(copy: Path) -> None:
        with (copy / page).open("a") as file:
            file.write(f"\n{text}\n")

    return spoil


def unlist(copy: Path) -> None:
    config = copy / "mkdocs.yml"
    config.write_text(config.read_text().replace("      - Git LFS: lfs.md\n", ""))


SPOILED = {
    "a link to a page that is not there": (append("docs/lfs.md", "[x](nowhere.md)"), "docs/lfs.md links to nowhere.md"),
    "a link out of the root": (append("SECURITY.md", "[x](docs/nowhere.md)"), "SECURITY.md links to docs/nowhere.md"),
    "a link out of the repository": (
        append("docs/lfs.md", "[x](../../etc/passwd)"),
        "which is no file of the repository",
    ),
    "a heading that is not there": (append("docs/lfs.md", "[x](mirrors.md#nowhere)"), "anchor does not exist"),
    "a heading of the same page": (append("README.md", "[x](#nowhere)"), "anchor does not exist"),
    "a picture that is not there": (append("docs/lfs.md", "![x](images/nowhere.png)"), "images/nowhere.png"),
    "a picture in HTML": (append("docs/lfs.md", '<img src="images/nowhere.png">'), "images/nowhere.png is not there"),
    "a heading in HTML": (append("docs/lfs.md", '<a href="mirrors.html#nowhere">x</a>'), "names a heading that is not"),
    "a script of another host": (
        append("docs/lfs.md", '<script src="https://cdn.example/x.js"></script>'),
        "another host",
    ),
    "a font of another host": (
        append("docs/lfs.md", '<link rel="stylesheet" href="//cdn.example/f.css">'),
        "another host",
    ),
    "a nav entry without a page": (append("mkdocs.yml", "  - Lost: lost.md"), "lost.md is not there"),
    "a page without a nav entry": (unlist, "lfs.html: is not in the nav of mkdocs.yml"),
}


@pytest.mark.parametrize("what", SPOILED)
def test_it_stops_at(what: str, copy: Path, tmp_path: Path) -> None:
    spoil, sentence = SPOILED[what]
    spoil(copy)
    built = build(copy, tmp_path / "site")
    assert built.returncode == 1, built.stdout
    assert sentence in built.stderr
