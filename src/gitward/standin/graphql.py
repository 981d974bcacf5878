"""GitHub's GraphQL API: for now only who the viewer is, which is what gh asks at login.

The seam for the whole schema: `answer` takes the content of one request.
"""

from __future__ import annotations

import json
import re

from aiohttp import web

from gitward.standin.accounts import Identity
from gitward.standin.rest.api import json_response
from gitward.standin.site import Site

DOCS = "https://docs.github.com/graphql"

_VIEWER = re.compile(r"\s*(?:query\s*(?:\w+\s*)?)?\{\s*viewer\s*\{\s*login\s*\}\s*\}\s*")


async def answer(_site: Site, identity: Identity, content: bytes) -> web.Response:
    """GitHub's answer to one request. Without a token GitHub answers 401: the caller does that."""
    try:
        query = json.loads(content)["query"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return json_response(400, {"message": "Problems parsing JSON", "documentation_url": DOCS})
    if isinstance(query, str) and _VIEWER.fullmatch(query):
        return json_response(200, {"data": {"viewer": {"login": identity.login}}})
    return json_response(200, {"errors": [{"message": "Only query { viewer { login } } is known here."}]})
