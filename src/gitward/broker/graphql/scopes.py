"""Lets gh work with a token of the documented scopes.

`gh pr view` and `gh pr edit` ask for the organization of every team that is asked for a review. To a classic token
without `read:org` GitHub answers that with an error (type INSUFFICIENT_SCOPES), whether there is such a team or not,
and gh shows nothing at all. So the question is then asked again without it; gh shows a team without its name.
"""

from __future__ import annotations

import json

_SIGN = b'"INSUFFICIENT_SCOPES"'
_TEAM = "Team"


def is_short_of_scopes(answer: bytes) -> bool:
    return _SIGN in answer


def without_teams(content: bytes) -> bytes | None:
    """The same body without inline fragments on Team; None when it has none, or nothing would be left beside one."""
    from graphql import REMOVE, parse, visit  # noqa: PLC0415 - imported by the first request only
    from graphql.language import InlineFragmentNode, SelectionSetNode, Visitor, VisitorAction, print_ast  # noqa: PLC0415

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
