"""One GraphQL request as its body has it, before its document is parsed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gitward.broker.wire.json_body import Malformed, read_object
from gitward.errors import PolicyDenied

MAX_QUERY = 64 * 1024  # characters of a document; texts belong into variables

_MEMBERS = {"query", "variables", "operationName"}


@dataclass(frozen=True, kw_only=True)
class GraphqlRequest:
    """A document with its variables."""

    query: str
    variables: Mapping[str, Any]
    operation: str  # the name that the request asks for; empty: it asks for none


def read(body: bytes) -> GraphqlRequest:
    """Raises PolicyDenied for what is not one plain request."""
    try:
        request = read_object(body)
    except Malformed as error:
        raise _malformed("a GraphQL request must be one JSON object in UTF-8") from error
    if unknown := set(request) - _MEMBERS:
        raise _malformed(f"a GraphQL request must not have {', '.join(sorted(unknown))[:100]}")
    query, variables, operation = request.get("query"), request.get("variables"), request.get("operationName")
    if not isinstance(query, str):
        raise _malformed("a GraphQL request must have a query")
    if len(query) > MAX_QUERY:
        raise _malformed(f"a GraphQL document must have at most {MAX_QUERY} characters")
    if not isinstance(variables or {}, dict) or not isinstance(operation or "", str):
        raise _malformed("variables must be an object, and operationName a text")
    return GraphqlRequest(query=query, variables=variables or {}, operation=operation or "")


def _malformed(message: str) -> PolicyDenied:
    return PolicyDenied("graphql.malformed", message)
