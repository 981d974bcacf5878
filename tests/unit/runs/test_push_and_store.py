"""What a person is told of work that is kept and not upstream."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from gitward.runs.attempt import Attempt, StoredWork
from gitward.runs.publishing.push_and_store import stored_work_sentence
from gitward.sessions.model import ArtifactKind

BUNDLE, PATCH, INNER = ArtifactKind.BUNDLE, ArtifactKind.PATCH, ArtifactKind.SUBMODULES


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        ((BUNDLE, PATCH), " The work is kept: publish the run again when that is fixed, or fetch its bundle."),
        ((PATCH,), " The work is kept as a patch."),
        ((INNER,), " Commits of submodules are in bundle?of=submodules."),
        ((), ""),
    ],
)
def test_only_what_is_kept_is_called_kept(kinds: tuple[ArtifactKind, ...], told: str) -> None:
    kept = StoredWork(head="1" * 40, kinds=kinds) if kinds else None
    assert stored_work_sentence(cast(Attempt, SimpleNamespace(kept=kept))) == told
