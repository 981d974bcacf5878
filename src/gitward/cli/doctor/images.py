"""Environments: whether an image is still what was added."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from gitward.cli.doctor.findings import Finding, fail, ok, warn
from gitward.environments.catalogue import HOST
from gitward.environments.inspection import resolve
from gitward.environments.store import Store, Stored, Unusable
from gitward.settings.values import MiB

_COUNT_SECONDS = 5.0


def examine_environment(store: Store, name: str, allowed: Sequence[str]) -> Finding:
    """One that was added, or that GITWARD_ENVIRONMENTS allows. Blocks for a few seconds at most."""
    part = f"environment: {name}"
    if name == HOST:
        return ok(part, "this machine")
    try:
        stored = store.get(name)
    except Unusable as error:
        return fail(part, str(error), f"gitward environments add {name} SOURCE")
    if stored is None:
        detail = "GITWARD_ENVIRONMENTS allows it, but it was not added on this machine"
        return fail(part, detail, f"gitward environments add {name} SOURCE, or take it out of GITWARD_ENVIRONMENTS")
    if damage := _damage(stored):
        return fail(part, f"{damage}: runs in it fail", f"gitward environments add {name} {stored.source}")
    detail = f"{stored.files:,} files, {stored.bytes // MiB} MiB, which are there"
    if allowed and name not in allowed:
        return warn(part, f"{detail}; no session may name it", f"add {name} to GITWARD_ENVIRONMENTS")
    return ok(part, detail)


def _damage(stored: Stored) -> str | None:
    """What is missing of an image, by its top folders, its shell and the number of its files."""
    root = stored.image.root
    for folder in stored.image.folders:
        if not (root / folder).is_dir():
            return f"its folder /{folder} is gone"
    if resolve(root, "/bin/bash") is None:
        return "its /bin/bash is gone"
    counted = _count(root)
    if counted is not None and counted < stored.files:  # it has a few of Gitward's own besides
        return f"it has {counted:,} files instead of {stored.files:,}"
    return None


def _count(root: os.PathLike[str]) -> int | None:
    """Files, folders and links below the root; None: counting them takes too long."""
    until, found, waiting = time.monotonic() + _COUNT_SECONDS, 0, [os.fspath(root)]
    while waiting:
        if time.monotonic() > until:
            return None
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                found += 1
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
    return found
