"""Checks a document against the views: every field, fragment and argument must be in them.

The broker forwards a document printed from what it parsed, so that no other parser can see more in it. The first
request imports graphql-core: a process that serves only git saves its memory.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gitward.broker.policy.argument import Argument
from gitward.broker.policy.graphql import opened
from gitward.broker.policy.graphql.mutations import VIEWS, views_of
from gitward.broker.policy.graphql.request import GraphqlRequest
from gitward.broker.policy.graphql.values import MISSING, Values
from gitward.broker.policy.graphql.views import Field, View
from gitward.broker.policy.writes import OWN_ONLY, RULE
from gitward.errors import PolicyDenied
from gitward.grants.grant import Grant

if TYPE_CHECKING:
    from graphql.language import ast

MAX_TOKENS = 10_000
MAX_DEPTH = 25  # selections inside selections, fragments counted
MAX_FIELDS = 5_000  # visited, fragments expanded
MAX_ROOTS = 100  # fields of the operation itself
MAX_IDS = 100  # that must be looked up

_ROOTS = {"query": "Query", "mutation": "Mutation"}
_DIRECTIVES = frozenset({"include", "skip"})


@dataclass(frozen=True, kw_only=True)
class Reading:
    """An allowed document, as far as it can be said without a look-up."""

    rule: str  # "graphql.query" or "graphql.mutation"
    content: bytes  # the body that goes upstream
    ids: Mapping[str, frozenset[str]]  # node id → the types that it may have in this repository
    written: frozenset[str] = frozenset()  # of these, which must be the session's own pull request or issue
    logins: frozenset[str] = frozenset()  # that must be people's
    opens: bool = False  # the answer says in `opened.KEY` which issues were opened; the sandbox must not see that


def read(request: GraphqlRequest, grant: Grant) -> Reading:
    """Raises PolicyDenied, naming the field or argument."""
    operation, fragments = _parse(request)
    values = Values(request.variables, operation)
    walk = _Walk(grant, fragments, values)
    kind = str(operation.operation.value)
    if kind not in _ROOTS:
        raise PolicyDenied("graphql.operation", "only queries and mutations are allowed in this session")
    walk.no_directives(operation)
    if len(operation.selection_set.selections) > MAX_ROOTS:
        raise _too_large()
    walk.select(operation.selection_set, _ROOTS[kind], depth=0)
    return Reading(
        rule=f"graphql.{kind}",
        content=_printed(operation, walk, values),
        ids=walk.ids,
        written=frozenset(walk.written),
        logins=frozenset(walk.logins),
        opens=bool(walk.opening),
    )


def _parse(
    request: GraphqlRequest,
) -> tuple[ast.OperationDefinitionNode, dict[str, ast.FragmentDefinitionNode]]:
    from graphql import GraphQLSyntaxError, parse  # noqa: PLC0415 - see the module's docstring
    from graphql.language import ast  # noqa: PLC0415  # graphql is large: loaded when there is something to read

    try:
        definitions = parse(request.query, no_location=True, max_tokens=MAX_TOKENS).definitions
    except (GraphQLSyntaxError, RecursionError) as error:
        raise PolicyDenied("graphql.malformed", "the GraphQL document cannot be read, or is too large") from error
    fragments: dict[str, ast.FragmentDefinitionNode] = {}
    operations: list[ast.OperationDefinitionNode] = []
    for node in definitions:
        if isinstance(node, ast.OperationDefinitionNode):
            operations.append(node)
        elif isinstance(node, ast.FragmentDefinitionNode) and node.name.value not in fragments:
            fragments[node.name.value] = node
        else:
            raise PolicyDenied(
                "graphql.malformed", "a document must have one operation, and fragments of different names"
            )
    if len(operations) != 1:
        raise PolicyDenied("graphql.operation", "a document must have exactly one operation")
    name = operations[0].name.value if operations[0].name else ""
    if request.operation not in ("", name):
        raise PolicyDenied("graphql.operation", "operationName must be the name of the document's operation")
    return operations[0], fragments


class _Walk:
    """Collects what a document needs, or raises PolicyDenied."""

    def __init__(self, grant: Grant, fragments: Mapping[str, ast.FragmentDefinitionNode], values: Values) -> None:
        self.ids: dict[str, frozenset[str]] = {}
        self.used: dict[str, ast.FragmentDefinitionNode] = {}
        self.written: set[str] = set()
        self.logins: set[str] = set()
        self._accepted: set[tuple[object, str]] = set()
        self.opening: set[int] = set()  # identities of the fields that open an issue
        self._views = views_of(grant)
        self._grant = grant
        self._fragments = fragments
        self._values = values
        self._fields = 0

    def select(self, selections: ast.SelectionSetNode, view_name: str, *, depth: int) -> None:
        from graphql.language import ast  # noqa: PLC0415 - see the module's docstring

        if depth > MAX_DEPTH:
            raise _too_large()
        for node in selections.selections:
            self._fields += 1
            if self._fields > MAX_FIELDS:
                raise _too_large()
            self._check_directives(node)
            if isinstance(node, ast.FieldNode):
                self._field(node, view_name, depth)
            elif isinstance(node, ast.InlineFragmentNode):
                condition = node.type_condition.name.value if node.type_condition else self._views[view_name].type
                self.select(node.selection_set, self._narrowed(view_name, condition), depth=depth + 1)
            elif isinstance(node, ast.FragmentSpreadNode):
                self._spread(node.name.value, view_name, depth)

    def no_directives(self, node: Any) -> None:
        if node.directives:
            raise _directive()

    def _spread(self, name: str, view_name: str, depth: int) -> None:
        fragment = self._fragments.get(name)
        if fragment is None:
            raise PolicyDenied("graphql.fragment", f"the fragment {name[:50]} is not in the document")
        self.no_directives(fragment)
        self.used[name] = fragment
        # A fragment inside itself ends at MAX_DEPTH.
        condition = fragment.type_condition.name.value
        self.select(fragment.selection_set, self._narrowed(view_name, condition), depth=depth + 1)

    def _field(self, node: ast.FieldNode, view_name: str, depth: int) -> None:
        view, name = self._views[view_name], node.name.value
        if node.alias is not None and node.alias.value == opened.KEY:
            raise PolicyDenied("graphql.malformed", f"a field must not be called {opened.KEY}")
        if name == "__typename" and not node.arguments and node.selection_set is None:
            return
        field = view.fields.get(name)
        if field is None and view_name == "Mutation" and name in VIEWS["Mutation"].fields:
            raise PolicyDenied(RULE, f"Mutation.{name} cannot be used: {OWN_ONLY}")
        if field is None:
            raise PolicyDenied("graphql.field", f"this session may not use the GraphQL field {view.type}.{name}"[:300])
        self._arguments(node, view, field)
        if bool(field.view) != (node.selection_set is not None):
            raise PolicyDenied(
                "graphql.malformed", f"{view.type}.{name} must {'' if field.view else 'not '}have fields"
            )
        if node.selection_set is not None:
            self.select(node.selection_set, field.view, depth=depth + 1)
        if self._grant.own_writes and view_name == "Mutation" and name == opened.FIELD:
            self.opening.add(id(node))

    def _arguments(self, node: ast.FieldNode, view: View, field: Field) -> None:
        given: dict[str, Any] = {}
        for argument in node.arguments or ():
            if argument.name.value in given:
                raise PolicyDenied("graphql.malformed", f"{node.name.value} has an argument twice")
            given[argument.name.value] = self._values.of(argument.value)
        self._members(given, field.arguments, f"{view.type}.{node.name.value}")
        for argument in node.arguments or ():
            self._values.spell(argument.value, field.arguments[argument.name.value], self._grant)

    def _members(self, given: Mapping[str, Any], known: Mapping[str, Argument], place: str) -> None:
        for name, value in given.items():
            argument = known.get(name)
            if argument is None:
                raise PolicyDenied("graphql.argument", f"this session may not use {place}({name})"[:300])
            if value is not MISSING:
                self._value(value, argument, f"{place}({name})")
        for name, argument in known.items():
            if argument.required and given.get(name, MISSING) in (MISSING, None):
                raise PolicyDenied("graphql.argument", f"{place}({name}) is missing")
            if argument.implied and given.get(name, MISSING) is MISSING:
                self._value(None, argument, f"{place}({name})")

    def _value(self, value: Any, argument: Argument, place: str) -> None:
        if argument.members is not None:
            if not isinstance(value, dict):
                raise PolicyDenied("graphql.argument", f"{place} must be an object")
            self._members(value, argument.members, place)
        elif (problem := self._problem(argument, value)) is not None:
            raise PolicyDenied("graphql.argument", f"{place} must {problem}")
        if argument.people:
            self.logins.update(value or ())
        if argument.kinds:
            for node_id in value if isinstance(value, list) else [value] if value is not None else []:
                if argument.written:
                    self.written.add(node_id)
                self.ids[node_id] = self.ids.get(node_id, argument.kinds) & argument.kinds
            if len(self.ids) > MAX_IDS:
                raise _too_large()

    def _problem(self, argument: Argument, value: Any) -> str | None:
        """A long text in a variable can stand in a hundred places: it is read once."""
        known = (argument.accepts, value) if isinstance(value, str) else None
        if known is not None and known in self._accepted:
            return None
        problem = argument.problem(value, self._grant)
        if known is not None and problem is None:
            self._accepted.add(known)
        return problem

    def _narrowed(self, view_name: str, condition: str) -> str:
        """The view for a fragment on a type. Raises PolicyDenied."""
        view = self._views[view_name]
        for name in (view_name, *view.others):
            if self._views[name].type == condition:
                return name
        raise PolicyDenied(
            "graphql.fragment", f"this session may not use a fragment on {condition} in {view.type}"[:300]
        )

    def _check_directives(self, node: Any) -> None:
        for directive in node.directives or ():
            if directive.name.value not in _DIRECTIVES:
                raise _directive()


def _printed(operation: ast.OperationDefinitionNode, walk: _Walk, values: Values) -> bytes:
    from graphql.language import print_ast  # noqa: PLC0415 - see the module's docstring

    parts: Sequence[ast.Node] = (operation, *walk.used.values())
    if walk.opening:  # first: what is respelled changes the nodes around it
        parts = [opened.asking(part, walk.opening) for part in parts]
    body: dict[str, Any] = {"query": "\n".join(print_ast(values.respelled(part)) for part in parts)}
    if values.given:
        body["variables"] = values.given
    return json.dumps(body).encode()


def _too_large() -> PolicyDenied:
    return PolicyDenied("graphql.limits", "the GraphQL document is too large or too deep")


def _directive() -> PolicyDenied:
    return PolicyDenied("graphql.directive", "only the directives include and skip of fields are allowed")
