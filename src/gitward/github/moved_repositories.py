"""Repositories that were renamed or transferred: followed to where they are now."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from gitward.errors import Reason, RunFailure
from gitward.github.client import Answer, Connection, path_of
from gitward.github.names import is_repository, same_repository

Admission = Callable[[str], str | None]  # what is allowed instead of this repository; None: it is allowed

REDIRECTS = frozenset({301, 302, 307, 308})
_MAX_HOPS = 3  # GitHub needs one
_BY_ID = re.compile(r"/repositories/([0-9]{1,20})\Z")
_BY_NAME = re.compile(r"/repos/([^/]+/[^/]+)\Z")


async def find_repository(github: Connection, repo: str) -> Answer:
    """What GitHub tells of the repository, wherever it is by now.

    GitHub's documentation asks clients to follow its redirects ("Best practices for using the REST API"). Of the
    address only the id or the name is taken, and asked for where we always ask: the token goes nowhere else.

    :raises RunFailure: `repository_not_found`: it does not say where.
    """
    answer = await github.get(path_of(repo))
    for _ in range(_MAX_HOPS):
        if answer.status not in REDIRECTS:
            return answer
        path = _path(answer)
        if path is None:
            break
        answer = await github.get(path)
    raise RunFailure(
        Reason.REPOSITORY_NOT_FOUND,
        f"{repo} was renamed or moved, and GitHub does not say where to; post a session with its new name.",
    )


def check_move(repo: str, found: str, admit: Admission) -> tuple[str, ...]:
    """The notice of a repository that has another name by now; none when it has the same.

    :raises RunFailure: `repository_not_found`: under that name the operator does not allow it.
    """
    if same_repository(repo, found):
        return ()
    refusal = admit(found)
    if refusal is not None:
        raise RunFailure(
            Reason.REPOSITORY_NOT_FOUND,
            f"{repo} was renamed or moved to {found}, which this server does not serve: a repository {refusal}.",
        )
    return (f"{repo} was renamed or moved to {found}; this session continues there. Use the new name in new sessions.",)


def moved_id(answer: Answer, *, below: str) -> int | None:
    """The number of the repository whose part `below` a redirect leads to; None when it leads elsewhere."""
    found = _BY_ID.search(_location(answer).removesuffix(f"/{below}")) if answer.status in REDIRECTS else None
    return int(found[1]) if found else None


def _location(answer: Answer) -> str:
    """The path of the address that the answer leads to."""
    told = answer.body.get("url") if isinstance(answer.body, dict) else None
    location = answer.headers.get("location") or (told if isinstance(told, str) else "")
    return urlsplit(location).path if len(location) < 1000 else ""


def _path(answer: Answer) -> str | None:
    """Our own path to the repository that the answer leads to."""
    path = _location(answer)
    by_id, by_name = _BY_ID.search(path), _BY_NAME.search(path)
    if by_id:
        return f"/repositories/{by_id[1]}"
    if by_name and is_repository(unquote(by_name[1])):
        return path_of(unquote(by_name[1]))
    return None
