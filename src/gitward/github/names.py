"""Names as GitHub and git allow them: repositories, branches. One rule each, with the sentence that explains it."""

from __future__ import annotations

import re

# Today's sign-up form wants single hyphens between alphanumerics, but accounts from before may have hyphens anywhere.
# Enterprise-managed users end in _shortcode.
_OWNER = re.compile(r"[A-Za-z0-9-]{1,39}(?:_[A-Za-z0-9]{1,20})?\Z")
_REPOSITORY = re.compile(r"[A-Za-z0-9._-]{1,100}\Z")

REPOSITORY_RULE = (
    "must be owner/name: an owner of letters, digits and hyphens (39 at most, then perhaps _shortcode), "
    "and a name of letters, digits, '.', '-' and '_' (100 at most), without '.git' or '.wiki' at its end"
)
BRANCH_RULE = (
    "must be a branch name that git check-ref-format accepts: no space, control character or any of ~^:?*[\\, "
    "no '..', '@{' or '//', no part that begins with '.' or ends with '.lock', no '-' at its beginning, "
    "no '/' or '.' at its end, 200 bytes at most"
)
MAX_BRANCH_BYTES = 200  # GitHub refuses longer ones than 255 with refs/heads/; file systems stop near there too


def is_repository(value: str) -> bool:
    """Whether `value` is `owner/name` in GitHub's alphabet."""
    owner, slash, name = value.partition("/")
    if not slash or not _OWNER.match(owner) or not _REPOSITORY.match(name):
        return False
    return name not in {".", ".."} and not name.lower().endswith((".git", ".wiki"))


def same_repository(one: str, other: str) -> bool:
    """GitHub compares repository names without case."""
    return one.lower() == other.lower()


_FORBIDDEN_IN_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")


def is_branch(value: str) -> bool:
    """Whether `git check-ref-format --branch` accepts `value`, and it is short enough for every file system.

    The rules are numbered in git-check-ref-format(1). `HEAD` and names of forty hex digits are refused too, as git
    and GitHub do.
    """
    if not value or value in {"@", "HEAD"} or value.startswith(("-", "/", "refs/")) or value.endswith(("/", ".")):
        return False
    try:
        size = len(value.encode())
    except UnicodeEncodeError:  # a lone surrogate
        return False
    if size > MAX_BRANCH_BYTES or _FORBIDDEN_IN_REF.search(value) or re.fullmatch(r"[0-9a-fA-F]{40}", value):
        return False
    return not any(part.startswith(".") or part.endswith(".lock") for part in value.split("/"))


def one_line(text: str) -> str:
    """Fit for a line that others read, and for a name in git: printable, without angle brackets, 200 characters."""
    return "".join(character for character in text if character.isprintable() and character not in "<>").strip()[:200]
