"""Puts the pages of the site into one folder, from which zensical builds it.

The pages of docs/ stay where they are; five pages of the repository's root join them under names of their own. Links
are rewritten, so the same page works on GitHub and in the site. A link to a file that is no page, such as an example
for nginx, takes the file along. A link that leads nowhere is refused.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

ROOT_PAGES = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "SECURITY.md": "security.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
DECISIONS = "adr"
LINK = re.compile(r"\[([^\[\]]*)\]\(([^()\s]+)\)")
FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)


class BrokenLink(Exception):
    """A link of a page leads to no file of the repository."""


def stage(repository: Path, folder: Path) -> None:
    """Writes all pages, and the files that they link, into `folder`, which is made anew.

    :raises BrokenLink: with a sentence that names page and link.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for page in pages(repository):
        target = folder / place(repository, page)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_rewritten(repository, page, folder))
    (folder / DECISIONS / "index.md").write_text(_decisions(repository))


def pages(repository: Path) -> list[Path]:
    """The Markdown files of the site, in the repository."""
    return [*(repository / name for name in ROOT_PAGES), *sorted((repository / "docs").rglob("*.md"))]


def place(repository: Path, file: Path) -> str:
    """Where a file of the repository stands in the site."""
    name = file.relative_to(repository).as_posix()
    return ROOT_PAGES.get(name, name.removeprefix("docs/"))


def _decisions(repository: Path) -> str:
    """A page that lists the decisions by their titles."""
    lines = [
        f"* [{page.read_text().partition(chr(10))[0].removeprefix('# ')}]({page.name})"
        for page in sorted((repository / "docs" / DECISIONS).glob("*.md"))
    ]
    return "\n".join(["# Decisions", "", *lines, ""])


def _rewritten(repository: Path, page: Path, folder: Path) -> str:
    def lead(link: re.Match[str]) -> str:
        text, address = link.groups()
        return f"[{_title(page, text, address)}]({_link(repository, page, address, folder)})"

    text, rewritten, end = page.read_text(), "", 0
    for fence in FENCE.finditer(text):  # what is quoted stays as it is
        rewritten += LINK.sub(lead, text[end : fence.start()]) + fence[0]
        end = fence.end()
    return rewritten + LINK.sub(lead, text[end:])


def _title(page: Path, text: str, address: str) -> str:
    """The text of a link: the page's title in place of its file's name, which says something on GitHub only."""
    path = address.partition("#")[0]
    if not text.endswith(".md") or not path.endswith(text.rpartition("/")[2]):
        return text
    linked = page.parent / path
    return linked.read_text().partition("\n")[0].removeprefix("# ") if linked.is_file() else text


def _link(repository: Path, page: Path, link: str, folder: Path) -> str:
    path, hash_, anchor = link.partition("#")
    if "://" in link or not path:
        return link
    linked = Path(os.path.normpath(page.parent / path))
    if not linked.is_file() or not linked.is_relative_to(repository):
        raise BrokenLink(f"{page.relative_to(repository)} links to {path}, which is no file of the repository")
    there = place(repository, linked)
    if linked.suffix != ".md":
        (folder / there).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(linked, folder / there)
    here = Path(place(repository, page)).parent
    return f"{os.path.relpath(there, here)}{hash_}{anchor}"
