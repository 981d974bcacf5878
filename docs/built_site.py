"""What must be true of the built site, and what zensical does not look at.

Every link, image, script and style leads to a file of the site, every anchor to a heading; every page stands in the
navigation; and nothing is loaded from another host.
"""

from __future__ import annotations

import os
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Page(HTMLParser):
    """The addresses that a page names, and the names that others may give after `#`."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.linked: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            elif name in {"href", "src", "poster", "data"} and value:
                (self.linked if tag == "a" else self.loaded).append(value)
            elif name == "srcset" and value:
                self.loaded.extend(part.split()[0] for part in value.split(","))


def problems(html: Path) -> list[str]:
    """A sentence for each thing that is wrong with the site in this folder."""
    files = sorted(html.rglob("*.html"))
    pages = {file: _Page(file.read_text()) for file in files if file.name != "404.html"}
    found = [
        f"{file.relative_to(html)}: {problem}"
        for file, page in pages.items()
        for address in (*page.linked, *page.loaded)
        if (problem := _problem(file, address, address in page.loaded, pages))
    ]
    entries = [html / "index.html", html / "adr" / "index.html"]  # each page has the nav; decisions are in a list
    reached = {_target(entry, address) for entry in entries for address in pages[entry].linked}
    found += [f"{file.relative_to(html)}: is not in the nav of mkdocs.yml" for file in pages if file not in reached]
    return found


def _problem(file: Path, address: str, loaded: bool, pages: dict[Path, _Page]) -> str:
    split = urlsplit(address)
    if split.scheme or split.netloc:
        return f"loads {address} from another host" if loaded and split.scheme != "data" else ""
    target = _target(file, address)
    if not target.is_file():
        return f"{address} is not there"
    if split.fragment and target in pages and unquote(split.fragment) not in pages[target].anchors:
        return f"{address} names a heading that is not there"
    return ""


def _target(file: Path, address: str) -> Path:
    path = unquote(urlsplit(address).path)
    if not path:
        return file
    target = Path(os.path.normpath(file.parent / path))
    return target / "index.html" if path.endswith(("/", ".")) else target
