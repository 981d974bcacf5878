"""The issues that a mutation opened: the broker adds a field to the mutation, and removes it from GitHub's answer."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphql.language import ast

KEY = "gitwardOpened"  # no field of the sandbox's own may be called so
FIELD = "createIssue"
_QUESTION = f"{{{KEY}:issue{{number repository{{nameWithOwner}}}}}}"


def asking(part: ast.Node, nodes: Collection[int]) -> ast.Node:
    """A part of a document, with the question added to its fields with these identities."""
    from graphql import parse, visit  # noqa: PLC0415 - imported by the first request only
    from graphql.language import OperationDefinitionNode, SelectionSetNode, Visitor  # noqa: PLC0415  # graphql is large: loaded when there is something to read

    (question,) = parse(_QUESTION, no_location=True).definitions
    assert isinstance(question, OperationDefinitionNode)
    asked = question.selection_set.selections

    class Asking(Visitor):
        def enter_field(self, node: ast.FieldNode, *_: object) -> ast.FieldNode | None:
            if id(node) not in nodes or node.selection_set is None:
                return None
            selections = (*node.selection_set.selections, *asked)
            return replace(node, selection_set=SelectionSetNode(selections=selections))

    changed: ast.Node = visit(part, Asking())
    return changed


def take(answer: bytes, repository: str) -> tuple[bytes, tuple[int, ...]]:
    """The answer without what was asked beside, and the numbers. Raises ValueError for an answer that is no JSON."""
    told: Any = json.loads(answer)
    data = told.get("data") if isinstance(told, dict) else None
    payloads = [value for value in data.values() if isinstance(value, dict)] if isinstance(data, dict) else []
    issues = [payload.pop(KEY) for payload in payloads if KEY in payload]
    numbers = (_number(issue, repository) for issue in issues)
    return json.dumps(told, separators=(",", ":")).encode(), tuple(each for each in numbers if each is not None)


def _number(issue: Any, repository: str) -> int | None:
    try:
        name, number = issue["repository"]["nameWithOwner"], issue["number"]
    except (TypeError, KeyError):
        return None  # GitHub made none, and says why in the answer's errors
    return number if type(number) is int and str(name).casefold() == repository.casefold() else None
