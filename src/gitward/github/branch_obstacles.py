"""Obstacles that make a branch impossible before anything is pushed: a branch in its way, or a rule of the repository.

git keeps a branch as a file and its parts as folders: beside `fix` there can be no `fix/x`, nor the other way round.
"""

from __future__ import annotations

from gitward.github.client import Connection, path_of
from gitward.github.concurrent_calls import all_of

_MAX_PARENTS = 8  # that are asked for; below them the push tells


async def find_obstacle(github: Connection, repository: str, branch: str) -> str | None:
    """The branch upstream beside which `branch` cannot be made; None: there is none."""
    parts = branch.split("/")[:-1][:_MAX_PARENTS]
    parents = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    found = await all_of(
        _below(github, repository, branch), *(_exists(github, repository, parent) for parent in parents)
    )
    return next((each for each in found if each is not None), None)


def sentence(repository: str, branch: str, obstacle: str) -> str:
    return (
        f"{repository} has a branch {obstacle}, so git cannot create a branch {branch}: rename or delete "
        f"{obstacle}, or post a session with another branch."
    )


async def _exists(github: Connection, repository: str, branch: str) -> str | None:
    answer = await github.get(path_of(repository, "git", "ref", f"heads/{branch}"))
    there = answer.status == 200 and isinstance(answer.body, dict) and answer.body.get("ref") == f"refs/heads/{branch}"
    return branch if there else None


async def _below(github: Connection, repository: str, branch: str) -> str | None:
    """One of the branches that begin with `branch/`."""
    answer = await github.get(path_of(repository, "git", "matching-refs", f"heads/{branch}"))
    if answer.status != 200 or not isinstance(answer.body, list):
        return None
    names = [str(each.get("ref")) for each in answer.body if isinstance(each, dict)]
    below = [name for name in names if name.startswith(f"refs/heads/{branch}/")]
    return below[0].removeprefix("refs/heads/") if below else None
