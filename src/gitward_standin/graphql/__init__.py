"""GitHub's GraphQL API over the stand-in's state. The library and the schema are loaded when they are first needed.

`answer` takes the content of one request. What the schema holds is what the tables in `types` and `mutations`
answer: `reduced` cuts GitHub's published schema down to that.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import re

from aiohttp import web

from gitward_standin.accounts import Identity
from gitward_standin.rest.api import json_response
from gitward_standin.site import Site

DOCS = "https://docs.github.com/graphql"

# What gh asks at login: answered without the second that loading the library takes.
_VIEWER = re.compile(r"\s*(?:query\s*(?:\w+\s*)?)?\{\s*viewer\s*\{\s*login\s*\}\s*\}\s*")


async def answer(site: Site, identity: Identity, content: bytes) -> web.Response:
    """GitHub's answer to one request. Without a token GitHub answers 401: the caller does that."""
    try:
        request = json.loads(content)
    except (ValueError, RecursionError):
        return _bad_request("Problems parsing JSON")
    query = request.get("query") if isinstance(request, dict) else None
    if not isinstance(query, str):
        return _bad_request("A query attribute must be specified and must be a string.")
    if not isinstance(request.get("variables"), dict | None):
        return _bad_request("Variables must be an object.")
    if _VIEWER.fullmatch(query):
        return json_response(200, {"data": {"viewer": {"login": identity.login}}})
    engine = await asyncio.to_thread(importlib.import_module, "gitward_standin.graphql.engine")
    schema = await asyncio.to_thread(engine.load)
    payload = await engine.carry_out(schema, site, identity, request)
    return json_response(200, payload)


def _bad_request(message: str) -> web.Response:
    return json_response(400, {"message": message, "documentation_url": DOCS})
