"""The values of arguments: literals and variables as the JSON that upstream will see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gitward.broker.policy.argument import Argument
from gitward.broker.wire.json_body import is_text
from gitward.errors import PolicyDenied
from gitward.grants.grant import Grant

if TYPE_CHECKING:
    from graphql.language import ast


class _Missing:
    """Of an argument whose variable is not given and has no default: as if the argument did not stand there."""


MISSING = _Missing()


class Values:
    """The variables of one request."""

    def __init__(self, given: Mapping[str, Any], operation: ast.OperationDefinitionNode) -> None:
        """Raises PolicyDenied for variables that are not defined once each, or carry directives."""
        self._values: dict[str, Any] = {}
        self._literals: dict[int, ast.StringValueNode] = {}  # by the node that each takes the place of
        for definition in operation.variable_definitions or ():
            name = definition.variable.name.value
            if name in self._values or definition.directives:
                raise PolicyDenied("graphql.malformed", "a variable must be defined once, without directives")
            default = MISSING if definition.default_value is None else self.of(definition.default_value)
            self._values[name] = given.get(name, default)
        self.given = {name: value for name, value in given.items() if name in self._values}  # gh sends more

    def spell(self, node: ast.ValueNode, argument: Argument, grant: Grant) -> None:
        """Has an accepted value go upstream as GitHub spells it."""
        from graphql.language import ast  # noqa: PLC0415 - imported by the first request only

        if isinstance(node, ast.VariableNode):
            value = self._values[node.name.value]
            if (spelled := argument.spelled(value, grant)) is not value:
                self._values[node.name.value] = self.given[node.name.value] = spelled
        elif isinstance(node, ast.ObjectValueNode) and argument.members is not None:
            for field in node.fields:
                self.spell(field.value, argument.members[field.name.value], grant)
        elif isinstance(node, ast.StringValueNode) and (text := argument.spelled(node.value, grant)) != node.value:
            self._literals[id(node)] = ast.StringValueNode(value=text, block=False)

    def respelled(self, part: ast.Node) -> ast.Node:
        """The operation or fragment with the literals that are spelled in another way now."""
        from graphql import visit  # noqa: PLC0415 - imported by the first request only
        from graphql.language import StringValueNode, Visitor  # noqa: PLC0415  # graphql is large: loaded when there is something to read

        if not self._literals:
            return part
        literals = self._literals

        class Respelled(Visitor):
            def enter_string_value(self, node: StringValueNode, *_: object) -> StringValueNode | None:
                return literals.get(id(node))

        changed: ast.Node = visit(part, Respelled())
        return changed

    def of(self, node: ast.Node) -> Any:
        """JSON, or MISSING. Raises PolicyDenied."""
        from graphql.language import ast  # noqa: PLC0415 - imported by the first request only

        if isinstance(node, ast.StringValueNode):
            self._check_text(node)
        match node:
            case ast.VariableNode():
                if node.name.value not in self._values:
                    raise PolicyDenied("graphql.malformed", f"the variable {node.name.value[:50]} is not defined")
                return self._values[node.name.value]
            case ast.ListValueNode():
                return [self.of(value) for value in node.values]
            case ast.ObjectValueNode():
                members = {field.name.value: self.of(field.value) for field in node.fields}
                if len(members) != len(node.fields):
                    raise PolicyDenied("graphql.malformed", "an input object has a name twice")
                return members
            case ast.NullValueNode():
                return None
            case ast.IntValueNode():
                return int(node.value) if len(node.value) <= 20 else node.value
            case ast.FloatValueNode() | ast.StringValueNode() | ast.BooleanValueNode() | ast.EnumValueNode():
                return node.value
        raise PolicyDenied("graphql.malformed", "an argument has an invalid value")

    def _check_text(self, node: ast.StringValueNode) -> None:
        """Older servers read escapes a second time, and in block strings too."""
        from graphql.language import ast  # noqa: PLC0415 - imported by the first request only

        if not is_text(node.value):
            raise PolicyDenied("graphql.malformed", "a text must not have a NUL, or half a character")
        if "\\" in node.value:
            raise PolicyDenied("graphql.argument", "a text with a backslash must be put into a variable")
        if node.block:
            self._literals[id(node)] = ast.StringValueNode(value=node.value, block=False)
