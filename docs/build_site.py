"""Builds the documentation's site and checks it. `scripts/site` runs it; the folder gets three parts: `mkdocs.yml`, the
pages as zensical reads them, and `html`.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from docs.built_site import problems
from docs.stage import BrokenLink, stage

ROOT = Path(__file__).parents[1]
TOOLS = ROOT / ".tools" / "site"
MERMAID = TOOLS / "node_modules" / "@mermaid-js" / "tiny" / "dist" / "mermaid.tiny.js"
STYLE = ROOT / "docs" / "tools" / "site.css"
BUILD_SECONDS = 120


def build(repository: Path, folder: Path) -> list[str]:
    """Makes the site of a repository's pages in `folder`; a sentence for each thing that is wrong with it.

    :raises FileNotFoundError: `scripts/site --tools` has not run.
    """
    shutil.rmtree(folder, ignore_errors=True)
    try:
        stage(repository, folder / "pages")
    except BrokenLink as broken:
        return [str(broken)]
    shutil.copyfile(repository / "mkdocs.yml", folder / "mkdocs.yml")
    (folder / "pages" / "assets").mkdir()
    shutil.copyfile(MERMAID, folder / "pages" / "assets" / "mermaid.js")
    shutil.copyfile(STYLE, folder / "pages" / "assets" / "site.css")
    built = subprocess.run(
        [TOOLS / "bin" / "zensical", "build", "--strict"],
        cwd=folder,
        env={"NO_COLOR": "1", "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    if built.returncode:
        return [(built.stdout + built.stderr).partition("Traceback (")[0].strip()]
    return problems(folder / "html")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/site", description="Builds the documentation as a site.")
    parser.add_argument("--repository", type=Path, default=ROOT, help="where README.md, mkdocs.yml and docs/ are")
    parser.add_argument("--folder", type=Path, default=ROOT / ".site", help="what to write; its old content is removed")
    options = parser.parse_args(arguments)
    wrong = build(options.repository, options.folder)
    for sentence in wrong:
        print(f"site: {sentence}", file=sys.stderr)
    if not wrong:
        print(f"The site is in {options.folder / 'html' / 'index.html'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
