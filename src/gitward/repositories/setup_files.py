"""What a setup left in the tree, as git would take it."""

from __future__ import annotations

from gitward.repositories import files
from gitward.repositories.baseline import SetupFile
from gitward.repositories.files import Scope
from gitward.repositories.result import Result


async def find(res: Result, start: str) -> list[SetupFile]:
    """All that differs from the commit `start`, without what git ignores. Raises GitFailed."""
    taken = await files.take(Scope(git=res.tree, head=start, start=start))
    return [SetupFile(mode=each.new_mode, oid=each.new, path=each.path) for each in taken.changes]
