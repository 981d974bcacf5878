"""The rules for GitHub's GraphQL API: known documents only, whatever their white space."""

from __future__ import annotations

import json
import re
from typing import Any

from gitward.broker.verdict import Verdict, allow, deny
from gitward.grants.grant import Grant

# gh asks this at `auth login` and `auth status`.
_DOCUMENTS = {"query UserCurrent{viewer{login}}": "graphql.viewer", "{viewer{login}}": "graphql.viewer"}
_ALLOWED = "this session may only ask GraphQL for viewer{login}"
_SPACE = re.compile(r"[ \t\r\n]+")
_PUNCTUATION = re.compile(r" ?([{}]) ?")
_MEMBERS = {"query", "variables", "operationName"}


class _Repeated(ValueError):
    """A JSON object with a name twice: two readers may see two requests."""


def check(body: bytes, grant: Grant) -> Verdict:  # noqa: ARG001 - the repository will count for further documents
    """A body of application/json, UTF-8, at most one request."""
    try:
        request = json.loads(body.decode(), object_pairs_hook=_object)
    except (ValueError, RecursionError):
        return deny("graphql.malformed", "a GraphQL request must be one JSON object in UTF-8")
    if not isinstance(request, dict) or not isinstance(request.get("query"), str):
        return deny("graphql.malformed", "a GraphQL request must be one JSON object with a query")
    if unknown := set(request) - _MEMBERS:
        return deny("graphql.malformed", f"a GraphQL request must not have {', '.join(sorted(unknown))[:100]}")
    if request.get("variables") or request.get("operationName") not in (None, "", "UserCurrent"):
        return deny("graphql.unlisted", _ALLOWED)
    document = _PUNCTUATION.sub(r"\1", _SPACE.sub(" ", request["query"])).strip()
    rule = _DOCUMENTS.get(document)
    return allow(rule) if rule else deny("graphql.unlisted", _ALLOWED)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise _Repeated("a name stands twice")
    return names
