"""What GitHub lets a person do in a repository, by GitHub's own answer."""

from __future__ import annotations

import re
from enum import IntEnum

from gitward.errors import Reason, RunFailure
from gitward.github.client import Connection, path_of
from gitward.github.moved_repositories import REDIRECTS, find_repository
from gitward.github.names import is_repository

# Letters, digits and hyphens; managed users have an underscore, Apps a suffix.
_LOGIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,98}[A-Za-z0-9_-])?(?:\[bot\])?")


class Permission(IntEnum):
    """A higher one includes the lower ones."""

    NONE = 0
    READ = 1
    WRITE = 2


# The field `permission` of GitHub's answer; maintain counts as write there, triage as read.
_PERMISSIONS = {"admin": Permission.WRITE, "write": Permission.WRITE, "read": Permission.READ, "none": Permission.NONE}


def is_login(value: object) -> bool:
    """Whether it can be the name of an account."""
    return isinstance(value, str) and _LOGIN.fullmatch(value) is not None


async def permission_of(github: Connection, repository: str, login: str) -> Permission:
    """What this login may do in this repository, wherever the repository is by now.

    :raises RunFailure: GitHub does not say; it is no answer about the person.
    """
    answer = await github.get(path_of(repository, "collaborators", login, "permission"))
    if answer.status in REDIRECTS:
        about = (await find_repository(github, repository)).body
        name = about.get("full_name") if isinstance(about, dict) else None
        if not isinstance(name, str) or not is_repository(name):
            return Permission.NONE
        answer = await github.get(path_of(name, "collaborators", login, "permission"))
    if answer.status == 404:  # there is no such account, or the token does not see the repository
        return Permission.NONE
    if answer.status != 200 or not isinstance(answer.body, dict):
        raise RunFailure(
            Reason.TOKEN_LACKS_PERMISSION,
            f"GitHub does not tell this server's token who may write to {repository} "
            f"({answer.status} {answer.message}); the token needs push access there.",
        )
    return _PERMISSIONS.get(str(answer.body.get("permission")), Permission.NONE)
