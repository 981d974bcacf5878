"""What one value of a request may be: an argument of GraphQL, or a member of a JSON body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gitward.grants.grant import Grant


@dataclass(frozen=True, kw_only=True)
class Argument:
    """One rule for one value."""

    allows: str  # "the session's branch": ends the sentence "… must be …"
    accepts: Callable[[Any, Grant], bool]  # a JSON value; whether it may stand there
    required: bool = False
    implied: bool = False  # a value that is left out is judged as null
    people: bool = False  # the value is a list of logins, each of which must be a person's
    written: bool = False  # GraphQL: the ids are of what is changed, which must be the session's own
    kinds: frozenset[str] = frozenset()  # GraphQL: the value is one node id, or a list of them, of these types
    members: Mapping[str, Argument] | None = None  # GraphQL: of an input object


def is_owner(value: Any, grant: Grant) -> bool:
    return isinstance(value, str) and value.casefold() == grant.repository.partition("/")[0].casefold()


def is_name(value: Any, grant: Grant) -> bool:
    return isinstance(value, str) and value.casefold() == grant.repository.partition("/")[2].casefold()


def _is_head(value: Any, grant: Grant) -> bool:
    """`branch`, or `owner:branch` of the session's repository."""
    if not isinstance(value, str):
        return False
    owner, colon, branch = value.rpartition(":")
    return f"refs/heads/{branch}" == grant.push_ref and (not colon or is_owner(owner, grant))


ANY = Argument(allows="anything", accepts=lambda _value, _grant: True)
HEAD = Argument(allows="the session's branch", accepts=_is_head, required=True)
