"""Numbers of the pages beside docs/api.md are those of the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitward.agents.archive import MOST_BYTES, MOST_FILES
from gitward.broker.server.egress.proxy import Limits
from gitward.broker.server.inject import breaker
from gitward.github.retries import Patience
from gitward.repositories import addresses, commit_search, git_folder, submodules
from gitward.repositories.mirrors import service as mirrors
from gitward.runs.commands import output
from gitward.sessions import audit_log, webhooks
from gitward.web import conversation
from gitward.web.routes import diff

DOCS = Path(__file__).parents[3] / "docs"
KIB, MIB = 2**10, 2**20
TUNNELS, GITHUB = Limits(), Patience()


def spans(seconds: tuple[int, ...]) -> str:
    """As the page on webhooks writes them."""
    words = [f"{n} s" if n < 60 else f"{n // 60} min" if n < 3600 else f"{n // 3600} h" for n in seconds]
    return f"{', '.join(words[:-1])} and {words[-1]}"


PROMISES = [
    ("work.md", f"{commit_search.MOST:,} commits elsewhere"),
    ("work.md", f"{git_folder._MOST_WORKTREES} work trees and {submodules._MOST} submodules"),
    ("mirrors.md", f"more than {mirrors.MOST_PACKS} packs"),
    ("mirrors.md", f"After {mirrors.REMADE_SECONDS / 86400:g} days"),
    ("egress.md", f"At most {TUNNELS.connections} tunnels of one command"),
    ("api.md", f"the first {output.HEAD_BYTES // MIB} MiB and the last {output.TAIL_BYTES // KIB} KiB are kept"),
    ("api.md", f"more than {addresses.MOST:,} commits"),
    ("webhooks.md", spans(webhooks.PAUSES)),
    ("webhooks.md", f"the latest {webhooks.MOST_LISTED}"),
    ("page.md", f"{conversation.MOST_ITEMS} items of a conversation, {diff.MOST_FILES} files of a diff"),
    ("agents.md", f"Up to {MOST_FILES} files, {MOST_BYTES // MIB} MiB"),
    ("agents.md", f"{breaker.FIRST_SECONDS:g} s, then twice as long each time, up to {breaker.LONGEST_SECONDS:g} s"),
    (
        "tokens.md",
        f"up to {GITHUB.longest_seconds:g} seconds, half of it random; after {GITHUB.total_seconds:g} seconds",
    ),
    ("signing-in.md", f"at most {audit_log.REFUSALS_A_MINUTE} refused sign-ins"),
]


@pytest.mark.parametrize(("page", "promise"), PROMISES)
def test_a_page_promises_what_the_code_has(page: str, promise: str) -> None:
    assert promise in " ".join((DOCS / page).read_text().split())
