"""Cuts GitHub's published GraphQL schema down to what the tables answer: `python -m gitward_standin.graphql.reduced`.

The published schema is the npm package @octokit/graphql-schema (MIT licence). It is fetched by npm; the result,
schema.graphql, is kept beside this file, so that running the stand-in and its tests needs no npm. `newer.graphql`
adds what the package does not have yet. Descriptions and deprecations are left out.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    extend_schema,
    get_named_type,
    is_required_argument,
    is_required_input_field,
    is_specified_scalar_type,
    parse,
)

from gitward_standin.graphql.catalog import INPUTS, TABLES
from gitward_standin.graphql.tables import Table, arguments

PACKAGE = "@octokit/graphql-schema@15.26.1"
FOLDER = Path(__file__).parent


class Mismatch(Exception):
    """The tables answer what GitHub's schema does not have, or lack what it demands."""


class Reduction:
    """The part of a schema that the tables answer, as text."""

    def __init__(self, published: GraphQLSchema) -> None:
        self._published = published
        self._implementors = self._kept_implementors()
        self._leaves: set[str] = set()  # scalars, enumerations, inputs and unions that the kept fields use

    def text(self) -> str:
        """The schema's definitions, sorted by name within their kind."""
        objects = [self._object(name, TABLES[name]) for name in sorted(TABLES)]
        interfaces = [self._interface(name) for name in sorted(self._implementors)]
        done: set[str] = set()
        leaves: dict[str, str] = {}
        while waiting := sorted(self._leaves - done):
            done.update(waiting)
            leaves |= {name: self._leaf(name) for name in waiting}
        return "\n".join([*(leaves[name] for name in sorted(leaves) if leaves[name]), *interfaces, *objects])

    def _kept_implementors(self) -> dict[str, list[str]]:
        """For each interface the kept types that implement it, when these have a field of it in common."""
        found: dict[str, list[str]] = {}
        for name in TABLES:
            kind = self._published.type_map.get(name)
            if not isinstance(kind, GraphQLObjectType):
                raise Mismatch(f"{name} is no object type of GitHub's schema")
            for interface in kind.interfaces if name != "Query" else ():  # which is a Node in name only
                found.setdefault(interface.name, []).append(name)
        return {name: types for name, types in found.items() if self._common(name, types)}

    def _common(self, interface: str, types: Iterable[str]) -> list[str]:
        kind = self._published.type_map[interface]
        assert isinstance(kind, GraphQLInterfaceType)
        return [name for name in kind.fields if all(name in TABLES[implementor] for implementor in types)]

    def _object(self, name: str, table: Table) -> str:
        kind = self._published.type_map[name]
        assert isinstance(kind, GraphQLObjectType)
        unknown = set(table) - set(kind.fields)
        if unknown:
            raise Mismatch(f"{name} has no {', '.join(sorted(unknown))}")
        interfaces = sorted(each for each, types in self._implementors.items() if name in types)
        implements = f" implements {' & '.join(interfaces)}" if interfaces else ""
        fields = [self._field(name, field, kind.fields[field], arguments(table[field])) for field in sorted(table)]
        return _block(f"type {name}{implements}", fields)

    def _interface(self, name: str) -> str:
        """Its fields that all kept types answer, with the arguments that all of them honour."""
        kind = self._published.type_map[name]
        assert isinstance(kind, GraphQLInterfaceType)
        types = self._implementors[name]
        fields = []
        for field in sorted(self._common(name, types)):
            honoured = [set(arguments(TABLES[implementor][field])) for implementor in types]
            shared = set.intersection(*honoured) & set(kind.fields[field].args)
            fields.append(self._field(name, field, kind.fields[field], sorted(shared)))
        return _block(f"interface {name}", fields)

    def _field(self, owner: str, name: str, field: GraphQLField, honoured: Iterable[str]) -> str:
        honoured = sorted(honoured)
        unknown = set(honoured) - set(field.args)
        missing = {arg for arg, known in field.args.items() if is_required_argument(known)} - set(honoured)
        if unknown or missing:
            raise Mismatch(f"{owner}.{name}: unknown arguments {unknown or ''}, missing ones {missing or ''}")
        result = get_named_type(field.type)
        if isinstance(result, GraphQLObjectType) and result.name not in TABLES:
            raise Mismatch(f"{owner}.{name} gives {result.name}, which has no table")
        self._use(result.name)
        shown = ", ".join(self._argument(arg, field.args[arg]) for arg in honoured)
        return f"{name}{f'({shown})' if shown else ''}: {field.type}"

    def _argument(self, name: str, argument: GraphQLArgument) -> str:
        self._use(get_named_type(argument.type).name)
        return f"{name}: {argument.type}"

    def _use(self, name: str) -> None:
        kind = self._published.type_map[name]
        if isinstance(kind, GraphQLInterfaceType) and name not in self._implementors:
            raise Mismatch(f"the types that implement {name} have no field of it in common")
        if not isinstance(kind, GraphQLObjectType | GraphQLInterfaceType) and not is_specified_scalar_type(kind):
            self._leaves.add(name)

    def _leaf(self, name: str) -> str:
        kind = self._published.type_map[name]
        if isinstance(kind, GraphQLScalarType):
            return f"scalar {name}\n"
        if isinstance(kind, GraphQLEnumType):
            return _block(f"enum {name}", kind.values)
        if isinstance(kind, GraphQLUnionType):
            members = sorted(each.name for each in kind.types if each.name in TABLES)
            return f"union {name} = {' | '.join(members)}\n"
        assert isinstance(kind, GraphQLInputObjectType)
        return self._input(kind)

    def _input(self, kind: GraphQLInputObjectType) -> str:
        known = set(INPUTS.get(kind.name, ()))
        missing = {name for name, field in kind.fields.items() if is_required_input_field(field)} - known
        if missing or not known or not known <= set(kind.fields):
            raise Mismatch(f"{kind.name}: {sorted(missing or known - set(kind.fields))}")
        for name in known:
            self._use(get_named_type(kind.fields[name].type).name)
        return _block(f"input {kind.name}", (f"{name}: {kind.fields[name].type}" for name in sorted(known)))


def _block(head: str, lines: Iterable[str]) -> str:
    return "\n".join([f"{head} {{", *(f"  {line}" for line in lines), "}", ""])


def reduce(published: str, licence: str) -> str:
    """The text of schema.graphql. Raises Mismatch."""
    schema = build_schema(published, assume_valid=True, assume_valid_sdl=True)
    newer = parse((FOLDER / "newer.graphql").read_text())
    schema = extend_schema(schema, newer, assume_valid=True, assume_valid_sdl=True)
    about = f"Made by reduced.py from GitHub's published GraphQL schema (npm {PACKAGE}) and newer.graphql. Do not edit."
    header = "".join(f"# {line}".rstrip() + "\n" for line in [about, "", *licence.strip().splitlines()])
    return f"{header}\n{Reduction(schema).text()}"


def fetch(folder: Path) -> tuple[str, str]:
    """The package's schema and its licence."""
    packed = subprocess.run(
        ["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True, capture_output=True, text=True, timeout=300
    )
    with tarfile.open(folder / packed.stdout.split()[-1]) as archive:
        return _member(archive, "package/schema.graphql"), _member(archive, "package/LICENSE.md")


def _member(archive: tarfile.TarFile, name: str) -> str:
    """The text of a file; nothing is unpacked to disk."""
    file = archive.extractfile(name)
    if file is None:
        raise Mismatch(f"{PACKAGE} has no {name}")
    return file.read().decode()


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        published, licence = fetch(Path(folder))
    (FOLDER / "schema.graphql").write_text(reduce(published, licence))
    return 0


if __name__ == "__main__":
    sys.exit(main())
