"""Fields that a classic token may not even ask for without a scope: GitHub refuses the whole document.

Source: GitHub's messages ("Your token has not been granted the required scopes to execute this query …").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graphql import FieldNode, GraphQLSchema, TypeInfo, TypeInfoVisitor, Visitor, visit
from graphql.language import DocumentNode, get_location

from gitward_standin.accounts import Token, TokenKind

_GRANTING: Mapping[str, Sequence[str]] = {  # scopes that include a smaller one
    "read:org": ("write:org", "admin:org"),
    "read:discussion": ("write:discussion",),
    "read:project": ("project",),
}
_ORGANIZATION, _PROJECT = ("read:org",), ("read:project",)
_NEEDED: Mapping[str, Sequence[str]] = {  # by type: one of these
    "Organization": _ORGANIZATION,
    "Team": ("read:org", "read:discussion"),
    "ProjectV2": _PROJECT,
    "ProjectV2Item": _PROJECT,
    "ProjectV2ItemFieldSingleSelectValue": _PROJECT,
}


def missing(schema: GraphQLSchema, document: DocumentNode, token: Token) -> list[dict[str, Any]]:
    """GitHub's errors, one for each field that the token's scopes do not cover."""
    if token.kind is not TokenKind.CLASSIC:
        return []
    types = TypeInfo(schema)
    collector = _Collector(types, token)
    visit(document, TypeInfoVisitor(types, collector))
    return collector.errors


class _Collector(Visitor):
    def __init__(self, types: TypeInfo, token: Token) -> None:
        super().__init__()
        self._types = types
        self._token = token
        self.errors: list[dict[str, Any]] = []

    def enter_field(self, node: FieldNode, *_rest: Any) -> None:
        parent = self._types.get_parent_type()
        needed = _NEEDED.get(parent.name) if parent else None
        if needed is None or node.name.value == "__typename" or self._granted(needed):
            return
        message = (
            "Your token has not been granted the required scopes to execute this query. The "
            f"'{node.name.value}' field requires one of the following scopes: {list(needed)}, but your token has only "
            f"been granted the: {sorted(self._token.scopes)} scopes. Please modify your token's scopes at: "
            "https://github.com/settings/tokens."
        )
        locations = []
        if node.loc:
            place = get_location(node.loc.source, node.loc.start)
            locations = [{"line": place.line, "column": place.column}]
        self.errors.append({"type": "INSUFFICIENT_SCOPES", "locations": locations, "message": message})

    def _granted(self, needed: Sequence[str]) -> bool:
        return any(self._token.has_scope(scope, *_GRANTING.get(scope, ())) for scope in needed)
