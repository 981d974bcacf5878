"""Validation with GitHub's rules, which are not quite those of the specification, and some of GitHub's words."""

from __future__ import annotations

from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    Node,
    OperationDefinitionNode,
    ValidationRule,
    specified_rules,
    validate,
)
from graphql.language import DocumentNode
from graphql.validation import FieldsOnCorrectTypeRule


class KnownFields(ValidationRule):
    """Every field exists; if not, GitHub names the type and the way to the field."""

    def enter_field(self, node: FieldNode, _key: Any, _parent: Any, _path: Any, ancestors: list[Any]) -> None:
        parent = self.context.get_parent_type()
        if parent is None or self.context.get_field_def() is not None:
            return
        name = node.name.value
        error = GraphQLError(
            f"Field '{name}' doesn't exist on type '{parent.name}'",
            node,
            extensions={"code": "undefinedField", "typeName": parent.name, "fieldName": name},
        )
        error.path = [*_way(ancestors), name]
        self.context.report_error(error)


def _way(ancestors: list[Any]) -> list[str | int]:
    """How GitHub tells the place in a document: ["query Name", "repository", "... on User"]."""
    way: list[str | int] = []
    for ancestor in ancestors:
        if isinstance(ancestor, Node):
            way += _step(ancestor)
    return way


def _step(node: Node) -> list[str]:
    match node:
        case OperationDefinitionNode():
            return [f"{node.operation.value} {node.name.value}" if node.name else node.operation.value]
        case FragmentDefinitionNode():
            return [f"fragment {node.name.value}"]
        case InlineFragmentNode():
            return [f"... on {node.type_condition.name.value}" if node.type_condition else "..."]
        case FieldNode():
            return [node.alias.value if node.alias else node.name.value]
    return []


_RULES = [KnownFields if rule is FieldsOnCorrectTypeRule else rule for rule in specified_rules]


def problems(schema: GraphQLSchema, document: DocumentNode) -> list[GraphQLError]:
    """What makes the document invalid.

    GitHub lets fields of different types have one name in an answer as long as they lie in different types: gh asks
    for `state` of an issue and of a pull request at once, and for `name` of a user (nullable) and of a team (not).
    """
    errors = validate(schema, document, _RULES)
    return [error for error in errors if "because they return conflicting types" not in error.message]
