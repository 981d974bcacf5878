"""Carries a GraphQL request out, by graphql-core, and puts its answer in GitHub's form."""

from __future__ import annotations

import functools
import inspect
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graphql import GraphQLError, GraphQLResolveInfo, GraphQLSchema, build_schema, execute, parse
from graphql.language import DocumentNode

from gitward_standin.accounts import Identity
from gitward_standin.changes import Unprocessable
from gitward_standin.graphql import rules, scopes
from gitward_standin.graphql.catalog import TABLES, typename
from gitward_standin.graphql.refusals import Refusal, unprocessable
from gitward_standin.graphql.tables import snake
from gitward_standin.graphql.visits import Visit
from gitward_standin.site import Site

log = logging.getLogger(__name__)

Json = dict[str, Any]


@functools.cache
def load() -> GraphQLSchema:
    """The schema; it takes a fraction of a second."""
    text = Path(__file__).with_name("schema.graphql").read_text()
    return build_schema(text, assume_valid=True, assume_valid_sdl=True)


async def carry_out(schema: GraphQLSchema, site: Site, identity: Identity, request: Mapping[str, Any]) -> Json:
    """The JSON of the answer, which has the status 200 whatever happens."""
    try:
        return await _answer(schema, Visit(site=site, viewer=identity), request)
    except GraphQLError as error:
        return {"errors": [_shown(error)]}
    except RecursionError:
        return {"errors": [{"message": "Query has a depth that exceeds the maximum."}]}


async def _answer(schema: GraphQLSchema, visit: Visit, request: Mapping[str, Any]) -> Json:
    document = parse(request["query"])
    invalid = rules.problems(schema, document)
    if invalid:
        return {"errors": [_shown(error) for error in invalid]}
    lacking = scopes.missing(schema, document, visit.viewer.token)
    if lacking:
        return {"errors": lacking}
    return await _execute(schema, visit, document, request)


async def _execute(schema: GraphQLSchema, visit: Visit, document: DocumentNode, request: Mapping[str, Any]) -> Json:
    outcome = execute(
        schema,
        document,
        root_value={},
        context_value=visit,
        variable_values=request.get("variables") or {},
        operation_name=request.get("operationName") or None,
        field_resolver=_resolve,
        type_resolver=lambda value, _info, _type: typename(value),
    )
    result = await outcome if inspect.isawaitable(outcome) else outcome
    errors = [_shown(error) for error in result.errors or ()]
    if not errors:
        return {"data": result.data}
    if result.data is None and not any(error.path for error in result.errors or ()):
        return {"errors": errors}  # wrong variables, an unknown operation: it was not begun
    return {"data": result.data, "errors": errors}


def _resolve(value: Any, info: GraphQLResolveInfo[Visit], **arguments: Any) -> Any:
    answer = TABLES[info.parent_type.name][info.field_name]
    return answer(info.context, value, **{snake(name): given for name, given in arguments.items()})


def _shown(error: GraphQLError) -> Json:
    """In GitHub's order: type, path, extensions, locations, message."""
    original = error.original_error
    if isinstance(original, Unprocessable):
        original = unprocessable(original.message)
    message, extensions = error.message, error.extensions
    shown: Json = {}
    if isinstance(original, Refusal):
        message, extensions, shown["type"] = original.message, dict(original.extensions), original.type
    elif original is not None and not isinstance(original, GraphQLError):
        log.error("GraphQL: %s at %s", original, error.path, exc_info=original)
        message = f"Something went wrong while executing your query at {time.strftime('%Y-%m-%dT%H:%M:%SZ')}."
    if error.path:
        shown["path"] = list(error.path)
    if extensions:
        shown["extensions"] = extensions
    if error.locations:
        shown["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    return {**shown, "message": message}
