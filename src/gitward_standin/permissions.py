"""Which permission of an App's token each call needs. Source: GitHub, "Permissions required for GitHub Apps"."""

from __future__ import annotations

import re

from gitward_standin.accounts import Token

_REST = (  # below /repos/owner/name, the first that fits; any of the permissions is enough
    (r"(|/|/rules/branches/.*|/collaborators/[^/]+/permission)", ("metadata",)),
    (r"/pulls/\d+/merge", ("contents",)),
    (r"/pulls(|/.*)", ("pull_requests",)),
    (r"/(issues|labels)(|/.*)", ("issues", "pull_requests")),
    (r"/actions/.*", ("actions",)),
    (r"/(check-runs/.*|commits/[^/]+/check-runs)", ("checks",)),
    (r"/commits/[^/]+/status(es)?", ("statuses",)),
    (r"/.*", ("contents",)),
)
_GRAPHQL = (
    (r".*(Ref|CommitOnBranch|mergePullRequest|AutoMerge)", ("contents",)),
    (r".*PullRequest.*", ("pull_requests",)),
    (r".*", ("issues", "pull_requests")),
)


def permits(token: Token, method: str, path: str) -> bool:
    """Whether a REST call may be made at all; tokens without a list of permissions may."""
    match = re.fullmatch(r"/repos/[^/]+/[^/]+(.*)", path)
    if match is None:
        return True
    level = "read" if method in ("GET", "HEAD") else "write"
    needed = next(names for pattern, names in _REST if re.fullmatch(pattern, match[1]))
    return any(token.may(name, level) for name in needed)


def permits_mutation(token: Token, name: str) -> bool:
    needed = next(names for pattern, names in _GRAPHQL if re.fullmatch(pattern, name))
    return any(token.may(each, "write") for each in needed)
