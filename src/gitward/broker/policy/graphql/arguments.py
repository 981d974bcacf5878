"""The checks of arguments that the policy's tables use."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from gitward.broker.policy.argument import (
    ANY,
    HEAD,
    Argument,
    is_name,
    is_owner,
    name_of,
    owner_of,
    same_name,
)
from gitward.grants.grant import Grant

_LARGEST_PAGE = 100  # GitHub's own bound

# Readers differ about which of them separate two words: a space does for all, and no other is taken.
_SEPARATORS = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
# A word outside quotes begins with the qualifier of a repository.
_REPO = re.compile(r"(?i)repo:[^ ]+")
# One word of a search: free, a qualifier with a plain or a quoted value, a quoted text, a parenthesis.
_TERM = re.compile(r'-?(?:([A-Za-z-]+):)?("[^"\\]*"|[^\s:"()\\]+)|\(|\)')
_LETTER = re.compile(r"[^\W_]")  # without one, a word may be an operator: "-", "!", "||"
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

    GitHub joins several of repo:, org: and user: by "or", so only one may stand there; one that it cannot read it
    leaves out, and then searches everywhere.
    """
    if not isinstance(value, str) or not _is_plain(value):
        return False
    repositories = depth = 0
    for word in _words(value):
        depth += (word == "(") - (word == ")")
        found = _TERM.fullmatch(word)
        if found is None:
            return False
        qualifier, text = found.groups()
        if (qualifier or "").lower() == "repo":
            if word.startswith("-") or depth or not same_name(text, grant.repository):
                return False
            repositories += 1
        elif depth < 0 or not _harmless(qualifier, text):
            return False
    return repositories == 1 and depth == 0


def _is_plain(value: str) -> bool:
    """Whether nothing in it is a separator or a mark to one reader, and a letter to another."""
    if any(character != " " and unicodedata.category(character) in _SEPARATORS for character in value):
        return False
    folded = unicodedata.normalize("NFKC", value)
    return all(folded.count(mark) == value.count(mark) for mark in ' :"()')


def _spelled_search(value: str, grant: Grant) -> str:
    words = [f"repo:{grant.repository}" if _REPO.fullmatch(word) else word for word in _words(value)]
    return " ".join(words)


def _words(value: str) -> list[str]:
    """Split at spaces, but not inside quotes; quotes that do not end stay a word that no rule takes."""
    return re.findall(r'(?:[^ "]|"[^"]*")+|"', value)


def _harmless(qualifier: str | None, text: str | None) -> bool:
    if text is None:
        return True  # a parenthesis
    if not text.startswith('"') and "|" in text:
        return False
    if qualifier is None and not text.startswith('"'):
        folded = unicodedata.normalize("NFKC", text).casefold()
        if folded in _OPERATORS or folded.startswith("!") or not _LETTER.search(folded):
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
        {"input": Argument(allows="an input object", accepts=ANY.accepts, bounded=False, members=known, required=True)}
    )


NOTHING = Argument(allows="empty", accepts=lambda value, _: value in (None, []))
OWNER = Argument(
    allows="the owner of the session's repository",
    accepts=is_owner,
    spelling=lambda _, grant: owner_of(grant),
    required=True,
)
NAME = Argument(
    allows="the name of the session's repository",
    accepts=is_name,
    spelling=lambda _, grant: name_of(grant),
    required=True,
)
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
    allows="a search with repo: of the session's repository once, and without OR, AND, NOT and their signs",
    accepts=_search,
    spelling=_spelled_search,
    required=True,
)
PAGE: Mapping[str, Argument] = MappingProxyType({"first": COUNT, "last": COUNT, "after": ANY, "before": ANY})
