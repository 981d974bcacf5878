"""The form of the tables that answer GraphQL: for each type, its fields and the functions that answer them.

A function gets the visit, the value of the type, and the field's arguments by name (in snake case). The names of
its parameters decide which arguments the schema has. It returns a value, or an awaitable of one.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

from gitward_standin.clock import timestamp

Resolver = Callable[..., Any]
Table = Mapping[str, Resolver]
Tables = Mapping[str, Table]

_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")
_UNDERSCORE = re.compile(r"_([a-z])")


def snake(name: str) -> str:
    """mergeStateStatus → merge_state_status."""
    return _HUMP.sub(r"_\1", name).lower()


def camel(name: str) -> str:
    return _UNDERSCORE.sub(lambda match: match[1].upper(), name)


def arguments(resolver: Resolver) -> list[str]:
    """The arguments that a field honours, as GraphQL spells them."""
    if isinstance(known := getattr(resolver, "arguments", None), list):
        return known
    parameters = inspect.signature(resolver).parameters.values()
    return [camel(parameter.name) for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]


def plain(*names: str) -> dict[str, Resolver]:
    """Fields that are attributes of the value, under the same name in snake case."""
    return {name: attribute(snake(name)) for name in names}


def attribute(path: str) -> Resolver:
    get = attrgetter(path)
    return lambda _visit, value: get(value)


def moment(path: str) -> Resolver:
    """A date."""
    get = attrgetter(path)
    return lambda _visit, value: timestamp(get(value))


def upper(path: str) -> Resolver:
    """A value that the enumeration spells in upper case."""
    get = attrgetter(path)

    def shout(_visit: object, value: object) -> str | None:
        word = get(value)
        return None if word is None else str(word).upper()

    return shout


def fixed(**answers: object) -> dict[str, Resolver]:
    """Fields (in snake case) that have the same answer for every value."""
    return {camel(name): _always(value) for name, value in answers.items()}


def _always(value: object) -> Resolver:
    return lambda _visit, _value: value


def keys(*names: str) -> dict[str, Resolver]:
    """Fields of a value that is a dictionary with the same names."""
    return {name: _item(name) for name in names}


def _item(name: str) -> Resolver:
    return lambda _visit, value: value.get(name)


def sized(address: Resolver) -> Resolver:
    """The address of a picture, whatever size is asked for."""

    def picture(visit: object, value: object, *, size: int | None = None) -> object:  # noqa: ARG001 - GitHub's argument
        return address(visit, value)

    return picture


def absent(*names: str) -> Table:
    """The table of a type that the stand-in has no values of: its fields are known, and never asked for."""
    return fixed(**{snake(name): None for name in names})
