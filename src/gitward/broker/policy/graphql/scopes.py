"""Lets gh work with a token that has only the documented scopes.

`gh pr view` and `gh pr edit` ask for the organization of every requested team. GitHub answers a classic token without
`read:org` with an error (type INSUFFICIENT_SCOPES), whether there is such a team or not, and gh shows nothing at all.
So the broker repeats the query without that field; gh shows a team without its name.

`gh pr edit --add-reviewer` and `gh pr create --reviewer` of gh 2.23 first ask for all teams of the organization, even
for a person. For such a token the broker answers with none.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphql.language import FieldNode, SelectionSetNode

_SIGN = b'"INSUFFICIENT_SCOPES"'
_TEAM = "Team"


def is_short_of_scopes(answer: bytes) -> bool:
    return _SIGN in answer


def without_teams(content: bytes) -> bytes | None:
    """The same body without inline fragments on Team; None when it has none, or nothing would be left beside one."""
    from graphql import REMOVE, parse, visit  # noqa: PLC0415 - imported by the first request only
    from graphql.language import InlineFragmentNode, Visitor, VisitorAction, print_ast  # noqa: PLC0415  # graphql is large: loaded when there is something to read

    class Without(Visitor):
        found = emptied = False

        def leave_inline_fragment(self, node: InlineFragmentNode, *_: object) -> VisitorAction:
            if node.type_condition is None or node.type_condition.name.value != _TEAM:
                return None
            self.found = True
            return REMOVE

        def leave_selection_set(self, node: SelectionSetNode, *_: object) -> None:
            self.emptied = self.emptied or not node.selections

    body = json.loads(content)
    visitor = Without()
    document = visit(parse(body["query"]), visitor)
    if not visitor.found or visitor.emptied:
        return None
    return json.dumps({**body, "query": print_ast(document)}).encode()


def no_teams(content: bytes) -> bytes | None:
    """The answer that there are none, to a body that asks for teams of an organization and nothing else."""
    from graphql import parse  # noqa: PLC0415 - imported by the first request only
    from graphql.language import OperationDefinitionNode  # noqa: PLC0415  # graphql is large: loaded when there is something to read

    definitions = parse(json.loads(content)["query"]).definitions
    if len(definitions) != 1 or not isinstance(definitions[0], OperationDefinitionNode):
        return None
    data: dict[str, Any] = {}
    for organization in _fields(definitions[0].selection_set):
        asked = _fields(organization.selection_set)
        if organization.name.value != "organization" or any(field.name.value != "teams" for field in asked):
            return None
        data[_key(organization)] = {_key(teams): _empty(teams) for teams in asked}
    return json.dumps({"data": data}).encode() if data and all(data.values()) else None


def _empty(teams: FieldNode) -> dict[str, Any]:
    """A connection without an entry; of its fields those that are asked for."""
    members: dict[str, Any] = {}
    for field in _fields(teams.selection_set):
        name = field.name.value
        if name == "pageInfo":
            members[_key(field)] = {
                _key(each): False if each.name.value.startswith("has") else None
                for each in _fields(field.selection_set)
            }
        else:
            members[_key(field)] = 0 if name == "totalCount" else []
    return members


def _fields(selections: SelectionSetNode | None) -> list[FieldNode]:
    """The fields of a selection; none at all when there is anything else in it."""
    from graphql.language import FieldNode  # noqa: PLC0415 - imported by the first request only

    nodes = selections.selections if selections is not None else ()
    fields = [node for node in nodes if isinstance(node, FieldNode)]
    return fields if len(fields) == len(nodes) else []


def _key(field: FieldNode) -> str:
    return field.alias.value if field.alias is not None else field.name.value
