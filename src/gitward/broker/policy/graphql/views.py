"""The words of the policy: a view is a type with the fields that a query may read, and checks of their arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from gitward.broker.policy.argument import Argument

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field. `view` is the name of what it leads to; a leaf leads nowhere."""

    view: str = ""
    arguments: Mapping[str, Argument] = field(default_factory=lambda: _NOTHING)


@dataclass(frozen=True, kw_only=True)
class View:
    """What may be asked of a GraphQL type at one place; `__typename` always may.

    One type can have several views: a pull request's `headRepository` may be another repository than the session's,
    and shows its name only.
    """

    type: str
    fields: Mapping[str, Field]
    others: tuple[str, ...] = ()  # names of views for fragments on other types: of a union or an interface


LEAF = Field()


def view(
    type_name: str,
    leaves: str = "",
    others: str = "",
    /,
    **members: Field | str,
) -> View:
    """`leaves` and `others` are names with spaces between them; a member is a field, or the view it leads to."""
    fields = dict.fromkeys(leaves.split(), LEAF)
    fields |= {name: Field(view=to) if isinstance(to, str) else to for name, to in members.items()}
    return View(type=type_name, fields=MappingProxyType(fields), others=tuple(others.split()))


def to(view_name: str, /, *shared: Mapping[str, Argument], **arguments: Argument) -> Field:
    """A field with arguments; `shared` are sets of them that come together."""
    merged: dict[str, Argument] = {}
    for these in shared:
        merged |= these
    return Field(view=view_name, arguments=MappingProxyType(merged | arguments))


def connections(*of: str) -> dict[str, View]:
    """For each type T the views of TConnection and TEdge, which lead to the view T."""
    made: dict[str, View] = {}
    for name in of:
        made[f"{name}Connection"] = view(
            f"{name}Connection", "totalCount", nodes=name, edges=f"{name}Edge", pageInfo="PageInfo"
        )
        made[f"{name}Edge"] = view(f"{name}Edge", "cursor", node=name)
    return made
