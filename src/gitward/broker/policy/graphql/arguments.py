"""The checks of arguments that the policy's tables use."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from gitward.broker.policy.argument import ANY, HEAD, Argument, is_name, is_owner
from gitward.grants.grant import Grant

_LARGEST_PAGE = 100  # GitHub's own bound

# One word of a search: free, a qualifier with a plain or a quoted value, a quoted text, a parenthesis.
_TERM = re.compile(r'-?(?:([A-Za-z-]+):)?("[^"\\]*"|[^\s:"()\\]+)|\(|\)')
# fmt: off
_QUALIFIERS = frozenset(
    {
        "archived", "assignee", "author", "base", "closed", "comments", "commenter", "created", "draft",
        "head", "in", "involves", "is", "label", "linked", "merged", "mentions", "milestone", "no",
        "project", "reactions", "reason", "review", "review-requested", "reviewed-by", "sort", "state",
        "status", "type", "updated",
    }
)
# fmt: on
_HIDDEN = re.compile(r"(?i)\b(?:repo|org|user|owner|enterprise)\s*:")
_OPERATORS = frozenset({"and", "or", "not"})


def _count(value: Any, _: Grant) -> bool:
    return value is None or (type(value) is int and 1 <= value <= _LARGEST_PAGE)


def _ids(value: Any, _: Grant) -> bool:
    return value is None or isinstance(value, str) or (isinstance(value, list) and _all_text(value))


def _all_text(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _search(value: Any, grant: Grant) -> bool:
    """Whether a search can only find what is in the repository: exactly one `repo:`, which is it, no `or`, no `not`.

    GitHub joins several of repo:, org: and user: by "or", so only one may stand there.
    """
    if not isinstance(value, str):
        return False
    folded = unicodedata.normalize("NFKC", value)
    if any(folded.count(mark) != value.count(mark) for mark in ':"()'):
        return False  # a full-width colon may be a colon to another reader
    repositories = 0
    for word in _words(value):
        found = _TERM.fullmatch(word)
        if found is None:
            return False
        qualifier, text = found.groups()
        if (qualifier or "").lower() == "repo":
            if word.startswith("-") or text.casefold() != grant.repository.casefold():
                return False
            repositories += 1
        elif not _harmless(qualifier, text):
            return False
    return repositories == 1


def _words(value: str) -> list[str]:
    """Split at white space, but not inside quotes; quotes that do not end stay a word that no rule takes."""
    return re.findall(r'(?:[^\s"]|"[^"]*")+|"', value)


def _harmless(qualifier: str | None, text: str | None) -> bool:
    if text is None:
        return True  # a parenthesis
    if qualifier is None and text.casefold() in _OPERATORS:
        return False
    return (qualifier is None or qualifier.lower() in _QUALIFIERS) and not _HIDDEN.search(text)


def one_of(*values: str) -> Argument:
    return Argument(allows=" or ".join(values), accepts=lambda value, _: value in values)


def node(*kinds: str, required: bool = False) -> Argument:
    """A node id, or a list of ids: of the session's repository, or of a person where `kinds` say so."""
    allows = f"the id of a {' or '.join(kinds)} of the session's repository"
    return Argument(allows=allows, accepts=_ids, kinds=frozenset(kinds), required=required)


def written(*kinds: str) -> Argument:
    """The id of what is changed, which must be the session's own."""
    return replace(node(*kinds, required=True), written=True)


def required(argument: Argument) -> Argument:
    return replace(argument, required=True)


def input_of(**members: Argument) -> Mapping[str, Argument]:
    """The one argument `input` of a mutation."""
    known = MappingProxyType({"clientMutationId": ANY, **members})
    return MappingProxyType(
        {"input": Argument(allows="an input object", accepts=ANY.accepts, members=known, required=True)}
    )


NOTHING = Argument(allows="empty", accepts=lambda value, _: value in (None, []))
OWNER = Argument(allows="the owner of the session's repository", accepts=is_owner, required=True)
NAME = Argument(allows="the name of the session's repository", accepts=is_name, required=True)
__all__ = [
    "ANY",
    "COUNT",
    "HEAD",
    "NAME",
    "NOTHING",
    "OWNER",
    "PAGE",
    "SEARCH",
    "input_of",
    "node",
    "one_of",
    "required",
    "written",
]

COUNT = Argument(allows=f"a number from 1 to {_LARGEST_PAGE}", accepts=_count)
SEARCH = Argument(
    allows="a search with repo: of the session's repository once, and without OR, AND and NOT",
    accepts=_search,
    required=True,
)
PAGE: Mapping[str, Argument] = MappingProxyType({"first": COUNT, "last": COUNT, "after": ANY, "before": ANY})
