"""Decides whether a commit changes .github/workflows, by object ids in the result, never by content."""

from __future__ import annotations

from collections.abc import Sequence

from gitward.grants.inspection import FOLDER, WORKFLOWS
from gitward.repositories.git import LISTING_BYTES
from gitward.repositories.result import Result

_PATH = f"{FOLDER}/{WORKFLOWS}"
_NAMED = 3

Place = tuple[str, str, str] | None  # what stands there: which path, object id, kind


async def changed_workflows(result: Result, head: str, upstream: Sequence[str]) -> str | None:
    """The files that differ, for a person (they may be none); None when the commit has what is upstream.

    :param upstream: commits whose workflows may be pushed; the first is compared with.
    """
    places = await _places(result, [head, *upstream])
    if places[0] in places[1:]:
        return None
    listed = await result.bare.do(
        *("diff-tree", "-r", "--name-only", "--no-renames", "-z", upstream[0], head, "--", FOLDER),
        limit=LISTING_BYTES,
    )
    names = [name.decode("ascii", "replace").removeprefix(f"{_PATH}/") for name in listed.split(b"\0") if name]
    shown = ", ".join("".join(c if c.isalnum() or c in "._-" else "?" for c in name)[:60] for name in names[:_NAMED])
    return shown + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def may_change_workflows(path: bytes) -> bool:
    """Whether a change of this path can be one of workflows: below `.github`, or of that itself."""
    return path.split(b"/", 1)[0] == FOLDER.encode()


async def _places(result: Result, commits: Sequence[str]) -> list[Place]:
    """Of a `.github` that is no folder, that counts."""
    names = [f"{commit}:{path}" for commit in commits for path in (FOLDER, _PATH)]
    found = await result.resolve(*names)
    places: list[Place] = []
    for number in range(0, len(found), 2):
        top, inner = found[number], found[number + 1]
        if top is not None and top[1] != "tree":
            places.append((FOLDER, *top))
        else:
            places.append(None if inner is None else (_PATH, *inner))
    return places
