"""A process's environment and working folder, as the settings see them."""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping
from contextlib import chdir
from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The working folder, with no `.env` in it."""
    with chdir(tmp_path):
        yield tmp_path


@pytest.fixture
def environment(folder: Path) -> Iterator[MutableMapping[str, str]]:
    """The environment without any setting; what a test does to it is undone."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(("GITWARD_", "GITHUB_", "SSL_CERT")) or name.upper() in {"HTTPS_PROXY", "NO_PROXY"}:
            del os.environ[name]
    yield os.environ
    os.environ.clear()
    os.environ.update(before)
