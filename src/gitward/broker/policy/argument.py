"""What one value of a request may be: an argument of GraphQL, or a member of a JSON body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gitward.grants.grant import Grant

LONGEST = 256  # characters of a text that a rule reads: twice the longest name that GitHub gives
MOST = 100  # entries of a list that a rule reads


@dataclass(frozen=True, kw_only=True)
class Argument:
    """One rule for one value."""

    allows: str  # "the session's branch": ends the sentence "… must be …"
    accepts: Callable[[Any, Grant], bool]  # a JSON value; whether it may stand there. Ask `problem`, which bounds it
    required: bool = False
    bounded: bool = True  # False: `accepts` does not look at the value, or bounds it itself
    spelling: Callable[[str, Grant], str] | None = None  # an accepted text as GitHub spells it
    implied: bool = False  # a value that is left out is judged as null
    people: bool = False  # the value is a list of logins, each of which must be a person's
    written: bool = False  # GraphQL: the ids are of what is changed, which must be the session's own
    kinds: frozenset[str] = frozenset()  # GraphQL: the value is one node id, or a list of them, of these types
    members: Mapping[str, Argument] | None = None  # GraphQL: of an input object

    def problem(self, value: Any, grant: Grant) -> str | None:
        """The end of the sentence "… must …"; None when the value may stand there. Its cost is bounded."""
        if self.bounded:
            if isinstance(value, list) and len(value) > MOST:
                return f"have at most {MOST} entries"
            texts = value if isinstance(value, list) else [value]
            if any(isinstance(text, str) and len(text) > LONGEST for text in texts):
                return f"have at most {LONGEST} characters"
        return None if self.accepts(value, grant) else f"be {self.allows}"

    def spelled(self, value: Any, grant: Grant) -> Any:
        """An accepted value as GitHub spells it, in whatever case the sandbox wrote it."""
        if self.members is not None and isinstance(value, dict):
            return {name: self.members[name].spelled(member, grant) for name, member in value.items()}
        if self.spelling is None or not isinstance(value, str):
            return value
        return self.spelling(value, grant)


def same_name(one: str, other: str) -> bool:
    """Whether GitHub takes both for one name. Only ASCII has a case there: U+212A is no k."""
    return one.isascii() and one.lower() == other.lower()


def owner_of(grant: Grant) -> str:
    return grant.repository.partition("/")[0]


def name_of(grant: Grant) -> str:
    return grant.repository.partition("/")[2]


def is_owner(value: Any, grant: Grant) -> bool:
    return isinstance(value, str) and same_name(value, owner_of(grant))


def is_name(value: Any, grant: Grant) -> bool:
    return isinstance(value, str) and same_name(value, name_of(grant))


def _is_head(value: Any, grant: Grant) -> bool:
    """`branch`, or `owner:branch` of the session's repository."""
    if not isinstance(value, str):
        return False
    owner, colon, branch = value.rpartition(":")
    return f"refs/heads/{branch}" == grant.push_ref and (not colon or is_owner(owner, grant))


def _spelled_head(value: str, grant: Grant) -> str:
    _, colon, branch = value.rpartition(":")
    return f"{owner_of(grant)}:{branch}" if colon else branch


ANY = Argument(allows="anything", accepts=lambda _value, _grant: True, bounded=False)
HEAD = Argument(allows="the session's branch", accepts=_is_head, spelling=_spelled_head, required=True)
