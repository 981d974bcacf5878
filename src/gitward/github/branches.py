"""Where a branch stands at GitHub."""

from __future__ import annotations

from gitward.github.client import Connection, path_of


async def head_of(github: Connection, repository: str, branch: str) -> str | None:
    """The commit that the branch stands on; None when it is not there."""
    answer = await github.get(path_of(repository, "git", "ref", f"heads/{branch}"))
    if answer.status != 200 or not isinstance(answer.body, dict) or answer.body.get("ref") != f"refs/heads/{branch}":
        return None
    return str(answer.body["object"]["sha"])
