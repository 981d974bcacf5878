"""The code blocks of the documentation, for tests that run them as a reader would.

A test that calls `shell("docs/page.md", "heading")` runs every shell block under that heading;
tests/unit/docs/test_every_command.py fails for a block that no test asks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUNNABLE = ("sh", "bash", "console", "python", "ts")
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_COMMAND = re.compile(r"(?:[^\n]*\\\n)*[^\n]+")

# Commands of blocks that are run without them: how each begins, and why.
LEFT_OUT = {
    "gitward login https://": "needs an issuer; tests/integration/signing_in/test_device_login.py signs in at one",
    "gitward environments add": "tests/environments/test_documentation.py adds images of the same kinds",
    "gitward run --prompt": "needs an agent; tests/agents/test_documentation.py runs it",
    "gitward run -c 'go vet ./...' --environment go": "needs an image; tests/environments/test_projects.py runs it",
    "gitward agents install": "npm installs for minutes; scripts/agents runs it, and tests/agents what it installs",
    "gitward demo --agent": "needs an agent; tests/agents/test_demo.py runs it",
    "ANTHROPIC_API_KEY=": "needs an agent and a model; tests/agents starts the service so",
    ".venv/bin/gitward agents install": "as above",
    ".venv/bin/gitward run owner/repo --prompt": "needs an agent; tests/agents/test_documentation.py runs it",
}


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block."""

    page: str
    heading: str  # of the section it stands in, as its anchor
    language: str
    text: str

    @property
    def section(self) -> str:
        return f"{self.page}#{self.heading}"


def anchor(heading: str) -> str:
    """The name that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def pages() -> list[str]:
    files = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    return sorted(file.relative_to(ROOT).as_posix() for file in files)


def blocks(page: str) -> Iterator[Block]:
    """All fenced blocks of a page, in their order."""
    text = (ROOT / page).read_text()
    fences = list(_BLOCK.finditer(text))
    headings = [
        found for found in _HEADING.finditer(text) if not any(f.start() < found.start() < f.end() for f in fences)
    ]
    for fence in fences:
        above = [heading[1] for heading in headings if heading.start() < fence.start()]
        indent, language, content = fence.groups()
        yield Block(
            page=page,
            heading=anchor(above[-1]) if above else "",
            language=language,
            text=re.sub(rf"^{indent}", "", content, flags=re.MULTILINE),
        )


def code(page: str, heading: str, language: str) -> str:
    """The blocks of one language under a heading, joined."""
    found = [block.text for block in blocks(page) if block.heading == heading and block.language == language]
    assert found, f"{page} has no {language} block under #{heading}"
    return "".join(found)


def shell(page: str, heading: str) -> str:
    """The shell blocks under a heading, without the commands that are left out."""
    return "".join(command for command in commands(code(page, heading, "sh")) if not left_out(command))


def commands(text: str) -> Iterator[str]:
    """The commands of a block: a line, with those that continue it."""
    for found in _COMMAND.finditer(text):
        yield f"{found[0]}\n"


def left_out(command: str) -> str | None:
    """How the entry of LEFT_OUT begins that a command falls under."""
    return next((start for start in LEFT_OUT if command.startswith(start)), None)
