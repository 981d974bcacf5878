"""The files that pages load are those that were reviewed, and come from nowhere else."""

from __future__ import annotations

import hashlib
import re

from gitward.web.templating import ASSETS, asset

VENDORED = re.compile(r"\| `([\w.-]+\.js)` \| npm .* \| `([0-9a-f]{64})` \|")


def test_vendored_files_are_what_was_reviewed() -> None:
    told = dict(VENDORED.findall((ASSETS / "README.md").read_text()))
    assert set(told) == {"htmx-4.0.1.min.js", "hx-sse-4.0.1.min.js"}
    for name, digest in told.items():
        assert hashlib.sha256((ASSETS / name).read_bytes()).hexdigest() == digest
    assert (ASSETS / "htmx-LICENSE").is_file()


def test_our_own_files_name_no_other_server() -> None:
    for name in ("gitward.css", "page.js", "output.js", "icon.svg"):
        text = (ASSETS / name).read_text().replace("http://www.w3.org/2000/svg", "")
        assert "//" not in re.sub(r"(^|\s)// .*", "", text).replace("/\\/", ""), name
        assert asset(name).startswith("/assets/")
