"""Which changes may be changes of workflows: those are asked about before a push, the others are not."""

from __future__ import annotations

import pytest

from gitward.repositories.workflows import may_change_workflows


@pytest.mark.parametrize("path", [b".github", b".github/workflows", b".github/workflows/ci.yml", b".github/x"])
def test_below_the_folder_they_may(path: bytes) -> None:
    assert may_change_workflows(path)


@pytest.mark.parametrize("path", [b"README.md", b"a/.github/workflows/ci.yml", b".githubx", b".GitHub/workflows/x.yml"])
def test_elsewhere_they_do_not(path: bytes) -> None:
    """GitHub reads workflows at this one place, in this spelling."""
    assert not may_change_workflows(path)
